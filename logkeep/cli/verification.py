"""`verify`: proving that the archive of a cluster is whole."""

from __future__ import annotations

import re
from collections import Counter
from shlex import quote
from textwrap import shorten
from typing import Annotated, Any

import typer

from logkeep.cli.client import Cluster, ServiceClient, open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.errors import CommandFailed, NotCarriedOut, ServiceFault, UsageError
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import byte_progress, print_json, print_line
from logkeep.cli.texts import count_text, size_text

_MOST_FINDINGS = 10_000  # that are held, and named in JSON
_COLUMNS = 80
_MOST_KINDS, _SHOWN = 20, 5  # kinds, and of each
_OF_ONE = re.compile(r"'[^']*'|[0-9a-f]{16,}|\d+")  # what differs between findings of one kind


def add_commands(app: typer.Typer) -> None:
    app.command("verify", epilog=EVERYWHERE)(verify)


def verify(
    context: typer.Context,
    cluster: ClusterName,
    read_data: Annotated[
        bool, typer.Option("--read-data", help="Read every byte back, instead of looking at sizes only.")
    ] = False,
    sample: Annotated[
        str,
        typer.Option(
            metavar="PERCENT",
            help="Read so much back, what was read longest ago: with 5% all is read in 20 runs.",
        ),
    ] = "",
    chain: Annotated[
        bool,
        typer.Option("--chain", help="Prove the signed chain of manifests, and read back every byte that it names."),
    ] = False,
    head: Annotated[
        str,
        typer.Option(metavar="SHA256", help="Hash of a manifest that you noted earlier, and that must be there."),
    ] = "",
) -> None:
    """Prove that the archive of a cluster is whole.

    Every manifest and every object in the bucket is held against what was stored, and what else lies there is told.
    Exit code 1 if anything is wrong, 3 if it could not be carried out.
    """
    asked = invocation(context)
    request: dict[str, Any] = {"read_data": read_data, "chain": chain}
    if head:
        request["head"] = read_hash(head)
    if sample:
        request["sample"] = _read_percent(sample)
        if read_data or chain:
            raise UsageError("--sample reads a part and --read-data or --chain all of the archive; give one of them")
    client = open_client(context)
    found = client.find_cluster(cluster)
    try:
        report = _verify(client, found, request, shown=not asked.as_json)
    except ServiceFault as fault:
        if fault.status >= 500:
            raise NotCarriedOut(f"the verification could not be carried out: {fault}") from fault
        raise
    if asked.as_json:
        print_json(report)
    else:
        _print_report(asked.command, found, report)
    if report["error"]:
        raise NotCarriedOut(f"the verification could not be carried out: {report['error']}")
    if report["findings"]:
        raise CommandFailed(f"{count_text(report['findings_total'], 'finding')} in the archive of {found.name}")


def _read_percent(text: str) -> float:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?%?", text) or not 0 < float(text.rstrip("%")) <= 100:
        raise UsageError(f"--sample {text}: write it as a percentage above 0, up to 100: 5%")
    return float(text.rstrip("%"))


def read_hash(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise UsageError(f"--head {text}: write all 64 hex digits of the hash")
    return text.lower()


def _verify(client: ServiceClient, cluster: Cluster, asked: dict[str, Any], *, shown: bool) -> dict[str, Any]:
    """Everything that the service tells, put together."""
    report: dict[str, Any] = {
        "ok": False,
        "objects": 0,
        "bytes": 0,
        "objects_read": 0,
        "findings": [],
        "findings_total": 0,
        "orphans": {"objects": 0, "bytes": 0},
        "unproven": {"manifests": 0, "head": ""},
        "error": None,
    }
    with client.verify(cluster, asked) as lines, byte_progress("verifying", 0, shown=shown) as bar:
        for line in lines:
            kind = line.pop("type")
            if kind == "finding":
                report["findings_total"] += 1
                if len(report["findings"]) < _MOST_FINDINGS:
                    report["findings"].append(line)
            elif kind == "progress":
                report |= {name: line[name] for name in ("objects", "bytes", "objects_read")}
                bar(line["bytes"], f"{line['objects']}/{line['objects_total']}", line["bytes_total"])
            elif kind == "orphans":
                report["orphans"] = line
            elif kind == "unproven":
                report["unproven"] = line
            elif kind == "error":
                report["error"] = f"{line['error_msg']} ({line['error_code']})"
            elif kind == "end":
                report["ok"] = line["ok"]
    return report


def _print_report(command: str, cluster: Cluster, report: dict[str, Any]) -> None:
    _print_findings(report["findings"], report["findings_total"])
    if report["ok"]:
        print_line(
            f"nothing is wrong with {cluster.name}: {count_text(report['objects'], 'object')}, "
            f"{size_text(report['bytes'])}; {_how_much_was_read(report)}"
        )
    if head := report["unproven"]["head"]:
        count = count_text(report["unproven"]["manifests"], "manifest")
        print_line(f"unproven: {count} and whatever was before, up to {head}; nothing proves where they come from")
    orphans = report["orphans"]
    if orphans["objects"]:
        print_line(
            f"{count_text(orphans['objects'], 'object')}, {size_text(orphans['bytes'])}, left by uploads that were "
            "never confirmed:"
        )
        print_line(f"  `{command} sweep {quote(cluster.name)} --dry-run` lists them, --yes instead removes them")


def _how_much_was_read(report: dict[str, Any]) -> str:
    if report["objects_read"] == report["objects"]:
        return "every byte was read back"
    if report["objects_read"]:
        return f"sizes were looked at, {count_text(report['objects_read'], 'object')} read back"
    return "sizes were looked at; --read-data reads every byte"


def _print_findings(findings: list[dict[str, Any]], total: int) -> None:
    """Print the first few of each kind: whoever can write to a bucket may put any number of objects there."""
    counts: Counter[str] = Counter()
    for finding in findings:
        kind = _OF_ONE.sub("…", finding["problem"])
        counts[kind] += 1
        if counts[kind] <= _SHOWN and len(counts) <= _MOST_KINDS:
            _print_finding(finding)
    for kind, count in counts.most_common(_MOST_KINDS):
        if count > _SHOWN:
            print_line(f"{count - _SHOWN:,} more: {shorten(kind, 60, placeholder=' …')}")
    if any(count > _SHOWN for count in counts.values()) or len(counts) > _MOST_KINDS:
        print_line(f"--json names {'all' if total <= _MOST_FINDINGS else f'the first {_MOST_FINDINGS:,}'} of {total:,}")


def _print_finding(finding: dict[str, Any]) -> None:
    """Two lines for each: names of objects are longer than a terminal is wide."""
    print_line(": ".join(filter(None, (finding["problem"], finding["object"]))))
    parts = [_log_text(finding)] if finding["node"] else []
    if finding["job_id"]:
        parts.append(f"stored by job {finding['job_id']}")
    if not parts:
        return
    line = f"  {', '.join(parts)}"
    for text in [line] if len(line) <= _COLUMNS else [f"  {part}" for part in parts]:
        print_line(text)


def _log_text(finding: dict[str, Any]) -> str:
    """Which log, and what of it."""
    text = f"{finding['node']}/{finding['family']}"
    if finding["generation"] is None:
        return text
    text += f", generation {finding['generation']}, bytes {finding['start']} to {finding['end']}"
    if finding["lines"]:
        text += ", lines {} to {}".format(*finding["lines"])
    if finding["first_time"]:
        text += f" ({finding['first_time']} to {finding['last_time']})"
    return text
