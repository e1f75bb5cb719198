"""`logs`: whether, where and when the logs of a cluster are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timezone
from shlex import quote
from typing import Annotated

import typer

from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.errors import CommandFailed, UsageError
from logkeep.cli.invocation import EVERYWHERE, CommonOptions, invocation
from logkeep.cli.output import note, print_document, print_fields, print_json, print_line
from logkeep.cli.texts import moment_text
from logkeep.contract.native.job_responses import PolicyView, SettingCheckView
from logkeep.contract.native.responses import ClusterView
from logkeep.domain.log_setting import parse_period
from logkeep.errors import RequestError

Bucket = Annotated[str, typer.Option(metavar="NAME", help="A bucket of logkeep.toml.")]
BasePath = Annotated[str, typer.Option(metavar="PATH", help="Folder in the bucket.")]
Agency = Annotated[str, typer.Option(metavar="NAME", help="Name of the store's credentials.")]
At = Annotated[str, typer.Option(metavar="TIME", help="Back up daily, for example at '00:00 GMT+08:00'.")]
DEFAULT_BUCKET, DEFAULT_PATH, DEFAULT_AGENCY = "logs", "css/log", "css_obs_agency"


def add_commands(app: typer.Typer) -> None:
    logs = typer.Typer(
        rich_markup_mode=None, no_args_is_help=True, help="Whether, where and when the logs of a cluster are kept."
    )
    logs.command("open", epilog=EVERYWHERE)(open_logs)
    logs.command("close", epilog=EVERYWHERE)(close_logs)
    logs.command("settings", epilog=EVERYWHERE)(logs_settings)
    logs.command("policy", epilog=EVERYWHERE)(logs_policy)
    app.add_typer(logs, name="logs")


def open_logs(
    context: typer.Context,
    cluster: ClusterName,
    bucket: Bucket = DEFAULT_BUCKET,
    base_path: BasePath = DEFAULT_PATH,
    agency: Agency = DEFAULT_AGENCY,
    at: At = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say where logs would lie.")] = False,
) -> None:
    """Turn log backup on; what is on already is changed."""
    _check_time(at)
    client, found = _open(context, cluster)
    body: dict[str, object] = {"agency": agency, "log_bucket": bucket, "log_base_path": base_path}
    if at:
        body |= {"auto_enable": True, "period": at}
    if dry_run:
        checked = client.send("POST", f"/api/v1/clusters/{found.id}/logs/check", body)
        _show_check(invocation(context), found, checked, at)
        return
    client.send("POST", client.css(found, "logs/open"), body)
    _show(invocation(context), client, found)


def close_logs(context: typer.Context, cluster: ClusterName) -> None:
    """Turn log backup off; what lies in the bucket stays.

    There are no more backups, and the records of those that failed are cleared.
    """
    client, found = _open(context, cluster)
    client.send("PUT", client.css(found, "logs/close"))
    _show(invocation(context), client, found)


def logs_settings(
    context: typer.Context, cluster: ClusterName, bucket: Bucket = "", base_path: BasePath = "", agency: Agency = ""
) -> None:
    """Show the setting; with an option, change that part of it first."""
    client, found = _open(context, cluster)
    if bucket or base_path or agency:
        setting, _ = client.setting(found)
        if setting is None:
            raise CommandFailed(
                f"log backup of {found.name} was never opened; open it with `logkeep logs open {quote(found.name)}`"
            )
        body = {
            "agency": agency or setting.agency,
            "log_bucket": bucket or setting.obs_bucket,
            "log_base_path": base_path or setting.base_path,
        }
        client.send("POST", client.css(found, "logs/settings"), body)
    _show(invocation(context), client, found)


def logs_policy(
    context: typer.Context,
    cluster: ClusterName,
    at: At = "",
    off: Annotated[bool, typer.Option("--off", help="No daily backup any more.")] = False,
    adaptive: Annotated[
        bool | None,
        typer.Option("--adaptive/--no-adaptive", help="Also back up before a node deletes what is not kept."),
    ] = None,
) -> None:
    """Say when a cluster is backed up without being asked.

    That is daily at a time, and before a node deletes what is not kept; or no longer. Without an option nothing is
    changed.
    """
    if at and off:
        raise UsageError("give --at TIME, for example --at '00:00 GMT+08:00', or --off, not both")
    _check_time(at)
    client, found = _open(context, cluster)
    if off:
        client.send("PUT", client.css(found, "logs/policy/close"))
    elif at:
        client.send("POST", client.css(found, "logs/policy/update"), {"period": at})
    if adaptive is not None:
        client.send("PUT", _policy_path(found), {"adaptive": adaptive})
    elif off and decode(client.get(_policy_path(found)), PolicyView).adaptive:
        ending = f"`{invocation(context).command} logs policy {quote(found.name)} --no-adaptive` ends them"
        note(f"there is no daily backup any more; those before a node deletes what is not kept go on: {ending}")
    _show(invocation(context), client, found, ahead=True)


def _check_time(at: str) -> None:
    """Raises `UsageError` that names the option, where the API would name its field."""
    try:
        if at:
            parse_period(at)
    except RequestError as error:
        zone = _own_zone()
        said = f"{error.message.removeprefix('period: ').rstrip('.')}; this machine has {zone}"
        if re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", at):
            said = f"its zone is missing; in that of this machine it is --at '{at} {zone}'"
        raise UsageError(f"--at {at}: {said}") from error


def _own_zone() -> str:
    return f"GMT{_offset_text(datetime.now().astimezone())}"


def _offset_text(moment: datetime) -> str:
    """`+08:00`."""
    offset = moment.strftime("%z")
    return f"{offset[:3]}:{offset[3:5]}"


def _policy_path(cluster: ClusterView) -> str:
    return f"/api/v1/clusters/{cluster.id}/policy"


def _open(context: typer.Context, cluster: str) -> tuple[ServiceClient, ClusterView]:
    client = open_client(context)
    return client, client.find_cluster(cluster)


def _show(asked: CommonOptions, client: ServiceClient, cluster: ClusterView, *, ahead: bool = False) -> None:
    """Print the present setting; `ahead`: also the runs after the next one."""
    setting, document = client.setting(cluster)
    policy = client.get(_policy_path(cluster))
    if asked.as_json:
        print_json(json.loads(document) | {"policy": json.loads(policy)})
    elif setting is None:
        print_line(
            f"log backup of {cluster.name} was never opened; open it:  {asked.command} logs open {quote(cluster.name)}"
        )
    else:
        planned = decode(policy, PolicyView)
        print_fields(
            [
                ("cluster", cluster.name),
                ("log backup", "on" if setting.log_switch else "off"),
                ("kept in", f"{setting.obs_bucket}/{setting.base_path}/{cluster.name}"),
                ("backups", _backups_text(planned) if setting.log_switch else "none"),
                ("state", _state_text(planned)),
                ("next", moment_text(planned.next_run) if planned.next_run else "not foreseen"),
                ("agency", setting.agency),
                ("changed", moment_text(setting.update_at)),
                *(_run_fields(planned.next_runs, planned.period) if ahead else []),
            ]
        )


def _show_check(asked: CommonOptions, cluster: ClusterView, document: bytes, at: str) -> None:
    """Print what a setting would come to."""
    if asked.as_json:
        print_document(document)
        return
    found = decode(document, SettingCheckView)
    fields = [
        ("cluster", cluster.name),
        ("kept in", f"{found.bucket}/{found.folder}"),
        ("there now", "the archive of this cluster, which goes on" if found.archive else "no archive"),
    ]
    print_fields([*fields, *_run_fields(found.next_runs, at)])
    print_line("nothing was changed; without --dry-run log backup is opened so")


def _run_fields(moments: Sequence[int], period: str | None) -> list[tuple[str, str]]:
    """Return the next runs, one a line, in UTC and in the zone of the period."""
    zone = None if not period else timezone(parse_period(period).offset)
    texts = [_run_text(moment, zone) for moment in moments] or ["none is foreseen"]
    return [("next runs" if index == 0 else "", text) for index, text in enumerate(texts)]


def _run_text(moment: int, zone: timezone | None) -> str:
    """`2026-11-23 16:00 UTC, 2026-11-24 00:00 GMT+08:00`."""
    at = datetime.fromtimestamp(moment / 1000, UTC)
    text = f"{at:%Y-%m-%d %H:%M} UTC"
    if zone is None or not zone.utcoffset(None):
        return text
    there = at.astimezone(zone)
    return f"{text}, {there:%Y-%m-%d %H:%M} GMT{_offset_text(there)}"


def _backups_text(policy: PolicyView) -> str:
    """Return when backups start without being asked."""
    if not policy.adaptive:
        return f"daily at {policy.period}" if policy.period else "by hand only"
    when = f"daily at {policy.period}, and" if policy.period else "not daily, but"
    return f"{when} before a node deletes what is not kept"


def _state_text(policy: PolicyView) -> str:
    """Return how well the policy is kept, and the evidence."""
    success = f"last success {moment_text(policy.last_success_at)}" if policy.last_success_at else "no success so far"
    match policy.state:
        case "stale":
            return f"stale: {success}"
        case "missed" if policy.missed:
            return f"missed: the run of {moment_text(policy.missed)} started late"
        case "missed":
            return "missed: a run should have started by now"
        case other:
            return other
