"""What commands say of spans that rules of retention removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from logkeep.cli.client import ServiceClient
from logkeep.cli.output import note
from logkeep.cli.texts import count_text, size_text
from logkeep.contract.native.job_responses import HeldRemovedView, JobView
from logkeep.contract.native.responses import ClusterView
from logkeep.contract.native.search import RemovedLine
from logkeep.domain.span import Place, Span, read_moment

_MOST_TOLD = 10  # spans that are named


def removed_text(one: HeldRemovedView | RemovedLine) -> str:
    """Return `removed by the rule keep_days=90: … to …, 7 objects, 2.5 KiB`."""
    spanned = f"{one.first_time} to {one.last_time}" if one.first_time else "its lines have no known time"
    return f"removed by the rule {one.rule}: {spanned}, {count_text(one.objects, 'object')}, {size_text(one.raw)}"


def job_removed_text(job: JobView) -> str:
    """Return what of a job was removed, '' for nothing."""
    if not job.removed.objects:
        return ""
    of_it = f"{count_text(job.removed.objects, 'object')} of this job, {size_text(job.removed.raw)}"
    return f"{of_it}, were removed by rules of retention"


def tell_removed(told: Iterable[tuple[str, HeldRemovedView | RemovedLine]]) -> None:
    """Tell, of each log by its name, what was removed of it."""
    texts = [f"{log}: {removed_text(one)}" for log, one in told]
    for text in texts[:_MOST_TOLD]:
        note(text)
    if len(texts) > _MOST_TOLD:
        note(f"and {len(texts) - _MOST_TOLD} removed spans more; `coverage` tells all")


def fetch_removed(
    client: ServiceClient, cluster: ClusterView, node: str, family: str, since: str, until: str
) -> Sequence[tuple[str, HeldRemovedView]]:
    """Return, by log, what was removed that may hold lines of a span."""
    span = Span(*(read_moment(text) if text else None for text in (since, until)))
    return [
        (f"{log.node}/{log.family}", one)
        for log in client.coverage(cluster, node=node, family=family)
        for one in log.removed
        if not one.timed or span.place(one.first_time, one.last_time) is not Place.OUTSIDE
    ]
