"""The settings of one cluster: where and when its logs are kept, its nodes, its tags, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timezone
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from logkeep.console.answers import Answer, Redirect
from logkeep.console.calls import ApiCall, write_calls
from logkeep.console.pools import WaitsFor
from logkeep.console.registration import MOST_SHOWN, told_below, worst_first
from logkeep.console.rendering import show
from logkeep.console.routes import Page, make_form
from logkeep.console.visit import Visit
from logkeep.domain.access import Right
from logkeep.domain.cluster import ChangedNode, Cluster, ClusterChange, Tag, as_source
from logkeep.domain.log_setting import OFFSETS, DailyTime, LogSetting, LogSettingChange, parse_period, write_zone
from logkeep.domain.policy import Policy
from logkeep.errors import InvalidField
from logkeep.service import archive_deletion, backups, checks, clusters, forecasts, log_settings, status, tags

_AGENCY, _BASE_PATH, _TIME = "css_obs_agency", "css/log", "00:00"
_ZONES = {"zh": "GMT+08:00"}  # by language; else UTC
_MOST_CHOSEN = 500  # buckets that are offered for choice; of more, the name is typed
_EACH_PAGE = 50  # nodes


@dataclass(frozen=True, slots=True)
class Draft:
    """What stands in the forms of a log setting: what was typed, else what is set, else what is usual."""

    agency: str
    bucket: str
    base_path: str
    daily: bool
    time: str
    zone: str

    @property
    def period(self) -> str:
        return f"{self.time} {self.zone}"

    def to_change(self, *, daily: bool) -> LogSettingChange:
        """Return the change; without `daily`, the daily backup stays as it is."""
        change = LogSettingChange(self.agency, self.bucket, self.base_path)
        return replace(change, auto_enable=self.daily, period=self.period if self.daily else None) if daily else change

    def to_body(self, *, daily: bool) -> dict[str, object]:
        body: dict[str, object] = {
            "agency": self.agency,
            "log_bucket": self.bucket,
            "log_base_path": self.base_path,
        }
        if daily:
            body["auto_enable"] = self.daily
        return body | {"period": self.period} if daily and self.daily else body


def show_settings(visit: Visit) -> Answer:
    return _show(visit, visit.cluster())


def check_setting(visit: Visit) -> Answer:
    """Check what was typed, and show what it comes to."""
    cluster = visit.cluster()
    draft = _read_draft(visit, log_settings.get_setting(visit.runtime, cluster))
    change = draft.to_change(daily=visit.form["form"] == "open")
    found = log_settings.check_setting(visit.runtime, cluster, change)
    return _show(visit, cluster, found=found)


def show_refused_check(visit: Visit) -> Answer:
    return _show(told_below(visit), visit.cluster(), problem=visit.error)


def open_backup(visit: Visit) -> Answer:
    cluster = visit.cluster()
    draft = _read_draft(visit, None)
    log_settings.open_backup(visit.runtime, cluster, draft.to_change(daily=True))
    return _done(cluster, "opened")


def change_setting(visit: Visit) -> Answer:
    cluster = visit.cluster()
    draft = _read_draft(visit, None)
    log_settings.update_setting(visit.runtime, cluster, draft.to_change(daily=False))
    return _done(cluster, "changed")


def close_backup(visit: Visit) -> Answer:
    cluster = visit.cluster()
    log_settings.close_backup(visit.runtime, cluster)
    return _done(cluster, "closed")


def start_daily(visit: Visit) -> Answer:
    cluster = visit.cluster()
    log_settings.start_policy(visit.runtime, cluster, f"{visit.form['time']} {visit.form['zone']}")
    return _done(cluster, "daily")


def stop_daily(visit: Visit) -> Answer:
    cluster = visit.cluster()
    log_settings.stop_policy(visit.runtime, cluster)
    return _done(cluster, "daily-off")


def set_adaptive(visit: Visit) -> Answer:
    cluster, adaptive = visit.cluster(), visit.form["adaptive"] == "on"
    forecasts.set_adaptive(visit.runtime, cluster, adaptive)
    return _done(cluster, "adaptive" if adaptive else "adaptive-off")


def start_backup(visit: Visit) -> Answer:
    job = backups.start_backup(visit.runtime, visit.cluster())
    return Redirect(f"/console/tasks/{job.job_id}?done=started")


def show_refused_backup(visit: Visit) -> Answer:
    """Lead on from a backup that could not be started: mostly one is running already."""
    cluster = visit.cluster()
    running = status.get_status(visit.runtime, cluster).facts.running
    return show(visit, "cluster_refused.html", cluster=cluster, tab="", running=running)


def check_nodes(visit: Visit) -> Answer:
    cluster = visit.cluster()
    found = checks.check_nodes(visit.runtime, cluster.project_id, cluster.nodes)
    return _show(visit, cluster, checked=worst_first(found))


def show_refused_look(visit: Visit) -> Answer:
    return _show(told_below(visit), visit.cluster(), node_problem=visit.error)


def add_node(visit: Visit) -> Answer:
    cluster, form = visit.cluster(), visit.form
    if any(node.name == form["name"] for node in cluster.nodes):
        raise InvalidField("nodes.name", "the cluster has a node of this name; change that one, or choose another name")
    node = ChangedNode(form["name"], as_source(form["source"]), form["ip"])
    clusters.update_cluster(visit.runtime, cluster, ClusterChange(nodes=[node]))
    return _done(cluster, "node")


def change_node(visit: Visit) -> Answer:
    cluster, form = visit.cluster(), visit.form
    old = next((node for node in cluster.nodes if node.name == form["name"]), None)
    if old is None:
        raise InvalidField("nodes.name", "the cluster has no such node any more")
    node = ChangedNode(old.name, _if_new(as_source(form["source"]), old.source), _if_new(form["ip"], old.ip))
    clusters.update_cluster(visit.runtime, cluster, ClusterChange(nodes=[node]))
    return _done(cluster, "node")


def remove_node(visit: Visit) -> Answer:
    cluster = visit.cluster()
    clusters.update_cluster(visit.runtime, cluster, ClusterChange(remove_nodes=[visit.form["name"]]))
    return _done(cluster, "node-removed")


def change_access(visit: Visit) -> Answer:
    """Change where the cluster is reached and asked; what stands in the form as before stays as it is."""
    cluster, form = visit.cluster(), visit.form
    before, password = cluster.discovery, form.raw("password") or None
    change = ClusterChange(
        endpoint=_if_new(form["endpoint"], cluster.endpoint),
        url=_if_new(form["url"], before.url if before else ""),
    )
    if form["url"]:
        change = replace(
            change,
            source=_if_new(form["source"], before.source if before else ""),
            user=_if_new(form["user"], before.user if before else ""),
            password=password,
        )
    clusters.update_cluster(visit.runtime, cluster, change)
    return _done(cluster, "access")


def add_tag(visit: Visit) -> Answer:
    cluster = visit.cluster()
    tags.add_tags(visit.runtime, cluster, [Tag(visit.form["key"], visit.form["value"])])
    return _done(cluster, "tag")


def remove_tag(visit: Visit) -> Answer:
    cluster = visit.cluster()
    tags.remove_tag(visit.runtime, cluster, visit.form.raw("key"))
    return _done(cluster, "tag-removed")


def remove_cluster(visit: Visit) -> Answer:
    cluster = visit.cluster()
    if visit.form["name"] != cluster.name:
        raise InvalidField("name", f"nothing was removed; type {cluster.name} where you mean to")
    if visit.form["archive"] == "delete":
        assert visit.caller
        again = visit.form["name_again"]
        archive_deletion.remove_with_archive(visit.runtime, cluster, name=again, who=visit.caller.name)
        return Redirect("/console/clusters?done=deleting")
    problem = clusters.remove_cluster(visit.runtime, cluster)
    if problem:
        return show(visit, "cluster_removed.html", cluster=cluster, problem=problem)
    return Redirect("/console/clusters?done=removed")


def go_back(visit: Visit) -> Answer:
    """Lead to the settings from the address of a form that was sent, as where the page is loaded again."""
    return Redirect(f"/console/clusters/{visit.parameters['cluster_id']}/settings")


def _if_new(value: str, before: str) -> str | None:
    return None if value == before else value


def _done(cluster: Cluster, what: str) -> Answer:
    return Redirect(f"/console/clusters/{cluster.id}/settings?done={what}")


def _read_draft(visit: Visit, setting: LogSetting | None) -> Draft:
    """Read what was typed into one of the forms of the log setting; in the others stands what is set."""
    usual, form = _usual_draft(visit, setting), visit.form
    if form["form"] in {"open", "where"}:
        usual = replace(usual, agency=form["agency"], bucket=form["bucket"], base_path=form["base_path"])
    if form["form"] in {"open", "daily"}:
        usual = replace(usual, daily=bool(form["daily"]), time=form["time"], zone=form["zone"])
    return usual


def _usual_draft(visit: Visit, setting: LogSetting | None) -> Draft:
    time, zone = _TIME, _ZONES.get(visit.texts.language, write_zone(0))
    if setting and setting.period:
        start = parse_period(setting.period)
        time, zone = start.time_text, start.zone_text
    if setting:
        daily = bool(setting.period) or not setting.enabled
        return Draft(setting.agency, setting.bucket, setting.base_path, daily, time, zone)
    choices = log_settings.list_choices(visit.runtime)
    agency, bucket = (*choices.agencies, _AGENCY)[0], (*choices.buckets, "")[0]
    return Draft(agency, bucket, _BASE_PATH, True, time, zone)


def _show(visit: Visit, cluster: Cluster, *, problem: str = "", **found: Any) -> Answer:
    setting = log_settings.get_setting(visit.runtime, cluster)
    policy = forecasts.get_policy(visit.runtime, cluster)
    draft, choices = _read_draft(visit, setting), log_settings.list_choices(visit.runtime)
    daily = parse_period(policy.period) if policy.period else None
    offset = visit.query.number("nodes", 0, 0, len(cluster.nodes))
    values: Mapping[str, Any] = {
        "found": None,
        "checked": None,
        "cluster": cluster,
        "tab": "/settings",
        "setting": setting,
        "is_open": setting is not None and setting.enabled,
        "policy": policy,
        "daily": daily,
        "draft": draft,
        "choices": choices,
        "choose_bucket": len(choices.buckets) <= _MOST_CHOSEN,
        "zones": _list_zones(draft.zone),
        "spread_ms": visit.runtime.policy.spread_ms,
        "runs": [(moment, _write_local(moment, daily)) for moment in policy.next_runs],
        "nodes": cluster.nodes[offset : offset + _EACH_PAGE],
        "offset": offset,
        "limit": _EACH_PAGE,
        "chosen": _find_node(visit, cluster),
        "tags": tags.list_tags(visit.runtime, [cluster.id])[cluster.id],
        "calls": _write_calls(visit, cluster, draft, policy),
        "most_shown": MOST_SHOWN,
        "problem": problem,
        "node_problem": "",
    }
    return show(visit, "cluster_settings.html", **{**values, **found})


def _find_node(visit: Visit, cluster: Cluster) -> Any:
    """Return the node that is to be changed, None if none is."""
    name = visit.query["node"] or (visit.form["name"] if visit.form["form"] == "node" else "")
    return next((node for node in cluster.nodes if node.name == name), None)


def _list_zones(chosen: str) -> list[str]:
    zones = [write_zone(minutes) for minutes in OFFSETS]
    return zones if chosen in zones else [chosen, *zones]


def _write_local(moment: int, daily: DailyTime | None) -> str:
    """Return a moment in the zone of the period."""
    when = datetime.fromtimestamp(moment / 1000, timezone(daily.offset) if daily else UTC)
    return when.strftime("%Y-%m-%d %H:%M")


def _write_calls(visit: Visit, cluster: Cluster, draft: Draft, policy: Policy) -> dict[str, dict[str, str]]:
    """Return the call that each form makes, with what stands in it, by the form's name."""
    logs = f"/v1.0/{visit.project_id}/clusters/{cluster.id}/logs"
    native = f"/api/v1/clusters/{cluster.id}"
    discovery = cluster.discovery
    access: dict[str, object] = {"endpoint": cluster.endpoint}
    if discovery:
        access |= {"url": discovery.url, "source": discovery.source, "user": discovery.user}
    css: dict[str, tuple[str, str, str, dict[str, object] | None]] = {
        "open": ("StartLogs", "POST", f"{logs}/open", draft.to_body(daily=True)),
        "where": ("UpdateLogSetting", "POST", f"{logs}/settings", draft.to_body(daily=False)),
        "daily": ("StartLogAutoBackupPolicy", "POST", f"{logs}/policy/update", {"period": draft.period}),
        "daily-off": ("StopLogAutoBackupPolicy", "PUT", f"{logs}/policy/close", None),
        "close": ("StopLogs", "PUT", f"{logs}/close", None),
    }
    other: dict[str, tuple[str, str, str, dict[str, object] | None]] = {
        "adaptive": ("UpdatePolicy", "PUT", f"{native}/policy", {"adaptive": not policy.adaptive}),
        "access": ("UpdateCluster", "PATCH", native, access),
        "remove": ("RemoveCluster", "DELETE", native, None),
        "delete": (
            "RemoveCluster",
            "DELETE",
            f"{native}?{urlencode({'delete_archive': 'true', 'name': cluster.name}, quote_via=quote)}",
            None,
        ),
    }
    if visit.may_administer and cluster.nodes:
        node = _find_node(visit, cluster) or cluster.nodes[0]
        body: dict[str, object] = {"nodes": [{"name": node.name, "source": node.source}]}
        other["node"] = ("UpdateCluster", "PATCH", native, body)

    def write(row: tuple[str, str, str, dict[str, object] | None], *, css: bool) -> dict[str, str]:
        operation, method, path, body = row
        call = ApiCall(operation=operation, method=method, path=path, body=body, css=css)
        return write_calls(call, visit.base_url, visit.project_id)

    return {name: write(row, css=True) for name, row in css.items()} | {
        name: write(row, css=False) for name, row in other.items()
    }


_form = partial(make_form, below="/clusters/{cluster_id}", again=show_settings, right=Right.OPERATE)

PAGES = (
    Page(path="/clusters/{cluster_id}/settings", handler=show_settings),
    _form("settings/open", open_backup, "StartLogs", WaitsFor.BUCKETS),
    _form("settings/change", change_setting, "UpdateLogSetting", WaitsFor.BUCKETS),
    _form("settings/check", check_setting, "CheckSetting", WaitsFor.BUCKETS, again=show_refused_check),
    _form("settings/close", close_backup, "StopLogs"),
    _form("settings/daily", start_daily, "StartLogAutoBackupPolicy"),
    _form("settings/daily-off", stop_daily, "StopLogAutoBackupPolicy"),
    _form("settings/adaptive", set_adaptive, "UpdatePolicy"),
    _form("settings/check-nodes", check_nodes, "CheckCluster", WaitsFor.NODES, again=show_refused_look),
    _form("settings/add-node", add_node, "UpdateCluster", WaitsFor.NODES, right=Right.ADMINISTER),
    _form("settings/change-node", change_node, "UpdateCluster", WaitsFor.NODES, right=Right.ADMINISTER),
    _form("settings/remove-node", remove_node, "UpdateCluster", WaitsFor.NODES, right=Right.ADMINISTER),
    _form("settings/access", change_access, "UpdateCluster", WaitsFor.NODES, right=Right.ADMINISTER),
    _form("settings/add-tag", add_tag, "CreateClustersTags"),
    _form("settings/remove-tag", remove_tag, "DeleteClustersTags"),
    Page(path="/clusters/{cluster_id}/settings/{form}", handler=go_back),
    _form("remove", remove_cluster, "RemoveCluster", WaitsFor.BUCKETS, right=Right.ADMINISTER),
    Page(path="/clusters/{cluster_id}/remove", handler=go_back),
    _form("backup", start_backup, "StartBackup", again=show_refused_backup),
    Page(path="/clusters/{cluster_id}/backup", handler=go_back),
)
