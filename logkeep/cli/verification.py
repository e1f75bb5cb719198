"""`verify`: proving that the archive of a cluster is whole."""

from __future__ import annotations

import re
from collections import Counter
from shlex import quote
from textwrap import shorten
from typing import Annotated, Any

import msgspec
import typer

from logkeep.cli.backups import show_progress, start_backup, wait_for_job, warning_text
from logkeep.cli.client import ServiceClient, decode, open_client
from logkeep.cli.clusters import ClusterName
from logkeep.cli.errors import CommandFailed, NotCarriedOut, ServiceFault, UsageError
from logkeep.cli.invocation import EVERYWHERE, invocation
from logkeep.cli.output import byte_progress, print_json, print_line, waiting
from logkeep.cli.texts import count_text, size_text
from logkeep.contract.native.job_responses import JobView, WarningView
from logkeep.contract.native.responses import (
    ChainLine,
    ClusterView,
    EndLine,
    ErrorLine,
    FindingLine,
    OrphansLine,
    ProgressLine,
    RemovedObjectsLine,
    UnprovenLine,
)

_MOST_FINDINGS = 10_000  # that are held, and named in JSON
_COLUMNS = 80
_MOST_KINDS, _SHOWN = 20, 5  # kinds, and of each
_LEAST_SAMPLE = 0.000001  # percent: one object, and besides it all that were found damaged
_OF_REPAIRS = {"LK-SEGMENT-REPAIRED", "LK-SEGMENT-LOST"}
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
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Keep what is missing or damaged again, if the node still has the very bytes."),
    ] = False,
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
    shown = not asked.as_json
    report = _verify(client, found, request, shown=shown)
    if repair and report.lost and not report.error:
        if shown:
            _print_findings(report.findings, report.findings_total)
        report = _repair(client, found, report, shown=shown)
    if asked.as_json:
        print_json(report.document())
    else:
        _print_report(asked.command, found, report)
    if report.error:
        raise NotCarriedOut(f"the verification could not be carried out: {report.error}")
    if report.findings:
        raise CommandFailed(f"{count_text(report.findings_total, 'finding')} in the archive of {found.name}")


def _read_percent(text: str) -> float:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?%?", text) or not 0 < float(text.rstrip("%")) <= 100:
        raise UsageError(f"--sample {text}: write it as a percentage above 0, up to 100: 5%")
    return float(text.rstrip("%"))


def read_hash(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise UsageError(f"--head {text}: write all 64 hex digits of the hash")
    return text.lower()


class RepairView(msgspec.Struct, rename="camel"):
    """What became of the backup that was to keep again what was found."""

    job_id: str
    status: str
    failures: list[str]
    warnings: list[WarningView]  # one for each segment, kept again or lost


class Report(msgspec.Struct, rename="camel"):
    """Everything that the service tells, put together."""

    ok: bool = False
    objects: int = 0
    bytes: int = 0
    objects_read: int = 0
    findings: list[FindingLine] = []  # the first of them
    findings_total: int = 0
    lost: int = 0  # of these, missing or damaged bytes of logs
    orphans: OrphansLine = msgspec.field(default_factory=lambda: OrphansLine(0, 0))
    unproven: UnprovenLine = msgspec.field(default_factory=lambda: UnprovenLine(0, ""))
    removed: RemovedObjectsLine = msgspec.field(default_factory=lambda: RemovedObjectsLine(0, 0, 0))
    chain: ChainLine | None = None  # of --chain
    error: str | None = None
    repair: RepairView | None = None  # None where none was asked for or needed

    def document(self) -> dict[str, Any]:
        """Return it for a program; each entry stands where its kind is told already."""
        found = msgspec.to_builtins(self)
        del found["lost"]
        for entry in (
            found["orphans"],
            found["unproven"],
            found["removed"],
            *found["findings"],
            found["chain"] or {"type": ""},
        ):
            del entry["type"]
        return found


def _repair(client: ServiceClient, cluster: ClusterView, before: Report, *, shown: bool) -> Report:
    """Have a backup keep again what was found, and verify what it touched; return what is wrong then."""
    job_id = start_backup(client, cluster, repair=True)
    with waiting(f"keeping again what {cluster.name} lost", shown=shown) as progress:
        job = decode(wait_for_job(client, job_id, lambda job: show_progress(progress, job)), JobView)
    told = [one for one in job.warnings if one.code in _OF_REPAIRS]
    report = _verify(client, cluster, {"sample": _LEAST_SAMPLE}, shown=shown)
    others = [one for one in before.findings if not _is_of_log(one) and one not in report.findings]
    report.findings = [*others, *report.findings]
    report.findings_total += len(others)
    report.ok = report.ok and not others
    report.repair = RepairView(job.job_id, job.status, job.failures, told)
    if shown:
        print_line(f"\nbackup {job.job_id} was to keep this again, and ended with {job.status}")
        for text in [*map(warning_text, told[:_MOST_KINDS]), *job.failures[:_MOST_KINDS]]:
            print_line(f"  {text}")
        if len(told) > _MOST_KINDS:
            print_line(f"  {len(told) - _MOST_KINDS:,} more, see `logkeep job show {job.job_id}`")
        print_line("")
    return report


def _is_of_log(finding: FindingLine) -> bool:
    return finding.generation is not None


def _verify(client: ServiceClient, cluster: ClusterView, asked: dict[str, Any], *, shown: bool) -> Report:
    try:
        return _carry_out(client, cluster, asked, shown=shown)
    except ServiceFault as fault:
        if fault.status >= 500:
            raise NotCarriedOut(f"the verification could not be carried out: {fault}") from fault
        raise


def _carry_out(client: ServiceClient, cluster: ClusterView, asked: dict[str, Any], *, shown: bool) -> Report:
    report = Report()
    with client.verify(cluster, asked) as lines, byte_progress("verifying", 0, shown=shown) as bar:
        for line in lines:
            match line:
                case FindingLine():
                    report.findings_total += 1
                    report.lost += _is_of_log(line)
                    if len(report.findings) < _MOST_FINDINGS:
                        report.findings.append(line)
                case ProgressLine():
                    report.objects, report.bytes, report.objects_read = line.objects, line.bytes, line.objects_read
                    bar(line.bytes, f"{line.objects}/{line.objects_total}", line.bytes_total)
                case OrphansLine():
                    report.orphans = line
                case UnprovenLine():
                    report.unproven = line
                case RemovedObjectsLine():
                    report.removed = line
                case ChainLine():
                    report.chain = line
                case ErrorLine():
                    report.error = f"{line.error_msg} ({line.error_code})"
                case EndLine():
                    report.ok = line.ok
    return report


def _print_report(command: str, cluster: ClusterView, report: Report) -> None:
    _print_findings(report.findings, report.findings_total)
    if report.ok:
        print_line(
            f"nothing is wrong with {cluster.name}: {count_text(report.objects, 'object')}, "
            f"{size_text(report.bytes)}; {_how_much_was_read(report)}"
        )
    there = sum(finding.on_node for finding in report.findings)
    if there and not report.repair:
        print_line(f"{count_text(there, 'finding')} may still be on nodes; what they have is kept again with:")
        print_line(f"  `{command} verify {quote(cluster.name)} --repair`")
    if report.chain:
        _print_chain(report.chain, ok=report.ok)
    if head := report.unproven.head:
        count = count_text(report.unproven.manifests, "manifest")
        print_line(f"unproven: {count} and whatever was before, up to {head}; nothing proves where they come from")
    _print_removed(report.removed)
    orphans = report.orphans
    if orphans.objects:
        print_line(
            f"{count_text(orphans.objects, 'object')}, {size_text(orphans.bytes)}, left by uploads that were "
            "never confirmed:"
        )
        print_line(f"  `{command} sweep {quote(cluster.name)} --dry-run` lists them, --yes instead removes them")


def _print_removed(removed: RemovedObjectsLine) -> None:
    if not removed.objects:
        return
    print_line(f"removed by rules of retention, so not missing: {count_text(removed.objects, 'object')}")
    if removed.waiting:
        left = f"{count_text(removed.waiting, 'object')}, {size_text(removed.waiting_bytes)}"
        print_line(f"  {left}, of these lie in the bucket yet")


def _print_chain(chain: ChainLine, *, ok: bool) -> None:
    """Print what is worth a note: a chain of which later manifests were cut off is found by the hash alone."""
    print_line(f"{'proven' if ok else 'looked at'}: {count_text(chain.manifests, 'manifest')}")
    print_line(f"  the last  {chain.head or '-'}")
    if chain.entries:
        count = "removal entry" if chain.entries == 1 else "removal entries"
        print_line(f"  with {chain.entries:,} {count}, the last  {chain.last_entry}")
    for key in chain.keys:
        print_line(f"  signed by {key}")


def _how_much_was_read(report: Report) -> str:
    if report.objects_read == report.objects:
        return "every byte was read back"
    if report.objects_read:
        return f"sizes were looked at, {count_text(report.objects_read, 'object')} read back"
    return "sizes were looked at; --read-data reads every byte"


def _print_findings(findings: list[FindingLine], total: int) -> None:
    """Print the first few of each kind: whoever can write to a bucket may put any number of objects there."""
    counts: Counter[str] = Counter()
    for finding in findings:
        kind = _OF_ONE.sub("…", finding.problem)
        counts[kind] += 1
        if counts[kind] <= _SHOWN and len(counts) <= _MOST_KINDS:
            _print_finding(finding)
    for kind, count in counts.most_common(_MOST_KINDS):
        if count > _SHOWN:
            print_line(f"{count - _SHOWN:,} more: {shorten(kind, 60, placeholder=' …')}")
    if any(count > _SHOWN for count in counts.values()) or len(counts) > _MOST_KINDS:
        print_line(f"--json names {'all' if total <= _MOST_FINDINGS else f'the first {_MOST_FINDINGS:,}'} of {total:,}")


def _print_finding(finding: FindingLine) -> None:
    """Two lines for each: names of objects are longer than a terminal is wide."""
    print_line(": ".join(filter(None, (finding.problem, finding.object))))
    parts = [_log_text(finding)] if finding.node else []
    if finding.job_id:
        parts.append(f"stored by job {finding.job_id}")
    if not parts:
        return
    line = f"  {', '.join(parts)}"
    for text in [line] if len(line) <= _COLUMNS else [f"  {part}" for part in parts]:
        print_line(text)


def _log_text(finding: FindingLine) -> str:
    """Which log, and what of it."""
    text = f"{finding.node}/{finding.family}"
    if finding.generation is None:
        return text
    text += f", generation {finding.generation}, bytes {finding.start} to {finding.end}"
    if finding.lines:
        text += ", lines {} to {}".format(*finding.lines)
    if finding.first_time:
        text += f" ({finding.first_time} to {finding.last_time})"
    return text
