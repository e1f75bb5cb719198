"""Families of log file names: rotated names, compressed names, and names that are no logs."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection
from typing import NamedTuple

# Files beside the logs: dumps and crash reports of the JVM, core dumps, pid and lock files, parts of what is being
# transferred or compressed, which get another name once they are whole, and what editors, copies and NFS leave for a
# while (`.nfs*`, `.x.swp` and rsync's `.x.AbC123` are hidden). Folders: what fsck found, which only root may read, and
# snapshots of file servers, which show all files once more, as they were.
NOT_LOGS = (
    ".*",
    "*.hprof",
    "*.hprof.gz",
    "hs_err_pid*",
    "replay_pid*",
    "core",
    "core.[0-9]*",
    "*.pid",
    "*.lock",
    "*.tmp",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.swp",
    "*~",
    "lost+found/",
    ".snapshot/",
    ".zfs/",
)

# Suffixes of compressed files, in any case.
COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".zstd")

Order = tuple[int, str, int]  # rank, date, number

_DATED, _NUMBERED, _PACKED, _ACTIVE = range(4)  # ranks, from old to new

_ENDING = re.compile(r"\*[^*?\[/]+")
# Suffixes of a cluster's logs: <cluster>_index_search_slowlog, <cluster>_task_detailslog, ...
_KINDS = ("_server", "_deprecation", "_audit", "_access", "_slowlog", "_detailslog", "_querylog")
# Only after these does a bare number or date make a rotated name: `x.log.1`, but not `libx.so.1`.
_EXTENSIONS = (".log", ".json", ".out", ".err", ".txt")

# log4j2.properties as shipped: <stem>-%d{yyyy-MM-dd}-%i.<ext>; without %i up to Elasticsearch 7.0 and Logstash 6. By
# the hour -%d{yyyy-MM-dd-HH}-%i.
_LOG4J_DATED = re.compile(r"-(\d{4}-\d\d-\d\d)(?:[-_T](\d{1,9}))?(?:-(\d{1,9}))?\Z", re.ASCII)
# <stem>-%i.<ext>; Logstash's logs of one pipeline: pipeline_<id>.%i.log; logrotate with `extension .log`: <stem>.N.log
_LOG4J_NUMBERED = re.compile(r"([-.])(\d{1,9})\Z", re.ASCII)
# Unified logging of the JVM; up to Java 8 the file being written is gc.log.N.current.
_GC = re.compile(r"((?:.*[-_.])?gc\.log)\.\d{1,3}(\.current)?", re.ASCII)
# logrotate's `dateext` (-20261123, hourly -2026112310, `dateformat -%s`) and rolling of log4j 1 (.2026-11-23,
# .2026-11-23_10-30)
_DATE_LAST = re.compile(
    r"[-._]((?:19|20)\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?:[-_.T]?(\d{1,10}))?(?:[-_.:](\d\d?))?(?:[-_.:](\d\d?))?\Z",
    re.ASCII,
)
_EPOCH_LAST = re.compile(r"[-._](1\d{9})\Z", re.ASCII)
_OLD_LAST = re.compile(r"\.(?:old|bak|prev|previous|orig|save)\Z", re.ASCII)
_NUMBER_LAST = re.compile(r"\.(\d{1,4})\Z", re.ASCII)  # logrotate
# Any other `dateformat` of logrotate behind the whole name (-26112026, -2026-W48), perhaps with `extension .log` last
_STAMP_LAST = re.compile(r"[-._]\d[\d_.:TW-]*(?:\.(?:log|json|out|err|txt))?\Z", re.ASCII)
_COUNTED = re.compile(
    r"(.+-)(\d{4}-\d\d-\d\d)-(\d{1,9})(\.(?:json|log))(?:\.(?i:gz|xz|bz2|zstd?))?", re.ASCII | re.DOTALL
)

_TIME_OF_DAY = re.compile(r"(?:[01]\d|2[0-3])(?:[0-5]\d){0,2}", re.ASCII)  # HH, HHmm, HHmmss


class LogName(NamedTuple):  # made for each of 10,000 names of a job: a frozen dataclass takes three times as long
    """Parts of a file name, and what they say about its content.

    Members of one family sort by `order` from oldest to newest; a file and its compressed twin are equal.
    """

    family: str  # name of the active file, with its folder
    plain: str  # the name without .gz, .xz, …
    compressed: bool
    active: bool = False  # the file being written
    order: Order = (_NUMBERED, "", 0)
    order_by_time: bool = False  # the name shows no age
    proposed: bool = False  # counts as rotated only because the family's name is known


class CountedName(NamedTuple):
    """A rotated name whose number rises within a day: by one per rotation from 1 on, or by the clock."""

    series: str  # the rest of the name
    date: str
    number: int
    written: str  # the number as written


def parse_counted(name: str) -> CountedName | None:
    """Parse a counted name; None if the number of the name shows no age, or shifts."""
    found = _COUNTED.fullmatch(name)
    return CountedName(found[1] + found[4], found[2], int(found[3]), found[3]) if found else None


def counts_rotations(written: Collection[str]) -> bool:
    """Return whether the numbers of a series come from a counter; if all may be times of the day, nothing proves it.

    `written` are all known numbers of it. log4j2 writes 1, 2, 3, …; hours are 00 to 23, or 0 to 23.
    """
    return "0" not in written and not all(map(_TIME_OF_DAY.fullmatch, written))


def numbers_between(older: CountedName, newer: CountedName) -> range | None:
    """Return the numbers of `newer.date` that were given between two names; None if the names do not tell."""
    if older.series != newer.series:
        return None
    if older.date == newer.date and older.number < newer.number:
        return range(older.number + 1, newer.number)
    if older.date < newer.date and newer.number > 1:
        return range(1, newer.number)
    return None


def is_compressed(name: str) -> bool:
    """Return whether the name says so; the content may be something else."""
    ending = name[-6:].rpartition("/")[2].lower()  # one letter more than the longest
    return ending.endswith(COMPRESSED) and ending not in COMPRESSED


def compressed_names(plain: str) -> tuple[str, ...]:
    """Return the names that a compressed twin of the file may have."""
    return tuple(plain + suffix for suffix in COMPRESSED)


def parse_name(name: str, known: Collection[str], logs: Collection[str] = ()) -> LogName:
    """Return the family of `name` and its place in it, as the name proposes; content may prove otherwise.

    `logs` are names that are known to be logs of their own, whatever they look like.

    `known` decides ambiguous names: those present in the directory and the families known before (a set, as each name
    is looked up in it). Families once known stay there, so the answer is the same while a rotation has moved the active
    file away for a moment.
    """
    folder, slash, base = name.rpartition("/")
    compressed = is_compressed(base)
    plain = name
    if compressed:
        base = base[: base.rindex(".")]
        plain = folder + slash + base
    if plain in logs:
        return _not_rotated(plain, compressed)
    if "gc.log." in base and (gc := _GC.fullmatch(base)):
        family, written = folder + slash + gc[1], gc[2] is not None
        return LogName(family=family, plain=plain, compressed=compressed, active=written, order_by_time=True)
    if rotated := _rotated(folder + slash, base, known):
        family, order, proposed = rotated
        return LogName(family=family, plain=plain, compressed=compressed, order=order, proposed=proposed)
    if old := _OLD_LAST.search(base, 1):
        family = folder + slash + base[: old.start()]
        if family in known or family.endswith(_EXTENSIONS):
            return LogName(family=family, plain=plain, compressed=compressed, order_by_time=True)
    if family := _stamped(folder + slash, base, known):
        return LogName(family=family, plain=plain, compressed=compressed, order_by_time=True, proposed=True)
    return _not_rotated(plain, compressed)


def _not_rotated(plain: str, compressed: bool) -> LogName:
    rank = _PACKED if compressed else _ACTIVE
    return LogName(family=plain, plain=plain, compressed=compressed, active=not compressed, order=(rank, "", 0))


_Rotated = tuple[str, Order, bool]  # family, order, `LogName.proposed`


def _rotated(prefix: str, base: str, known: Collection[str]) -> _Rotated | None:
    """Parse a rotated name; None if the name is not rotated."""
    if base[-1:].isdigit():
        return _number_last(prefix, base, known)
    stem, _, extension = base.rpartition(".")
    if extension in ("json", "log") and stem[-1:].isdigit():
        return _extension_last(prefix, stem, extension, known)
    return None


def _extension_last(prefix: str, base: str, extension: str, known: Collection[str]) -> _Rotated | None:
    """Parse `x-2026-11-23-1.json`, `x-1.json`, `x.1.log`."""
    if dated := _LOG4J_DATED.search(base, 1):
        stem = prefix + base[: dated.start()]
        family = _dated_json(stem, known) if extension == "json" else f"{stem}.log"
        date, number = (f"{dated[1]}-{dated[2]:0>2}", dated[3]) if dated[3] else (dated[1], dated[2])
        return family, (_DATED, date, int(number or 0)), False
    if numbered := _LOG4J_NUMBERED.search(base, 1):
        mark, number = numbered[1], int(numbered[2])
        stem = base[: numbered.start()]
        family = f"{prefix}{stem}.{extension}"
        pipeline = mark == "." and stem.startswith("pipeline_")
        sure = pipeline or (mark == "-" and stem.endswith(_KINDS))
        if sure or family in known:
            # log4j2 counts upwards (fileIndex=max: 1 is the oldest), logrotate shifts (1 is the newest)
            return family, (_NUMBERED, "", number if pipeline or mark == "-" else -number), not sure
    return None


def _dated_json(stem: str, known: Collection[str]) -> str:
    """Return the active file of `<stem>-<date>-N.json`.

    Only the server log drops its kind when it is rotated: <cluster>_server.json becomes <cluster>-<date>-N.json, but
    <cluster>_audit.json becomes <cluster>_audit-<date>-N.json. A cluster may have the name of a kind.
    """
    itself, server = f"{stem}.json", f"{stem}_server.json"
    if stem.endswith(_KINDS):
        return server if server in known and itself not in known else itself
    return itself if itself in known and server not in known else server


def _number_last(prefix: str, base: str, known: Collection[str]) -> _Rotated | None:
    """Parse `x.log.1`, `x.log-20261123`, `x.log.2026-11-23`, `x.log-1764000000`."""
    if found := _DATE_LAST.search(base, 1):
        day = f"{found[1]}-{found[2]}-{found[3]}"
        order = (_DATED, day, int(found[4] or 0))
        if found[5]:
            order = (_DATED, f"{day}-{found[4]:0>2}", 100 * int(found[5]) + int(found[6] or 0))
    elif found := _EPOCH_LAST.search(base, 1):
        order = (_DATED, "", int(found[1]))
    elif found := _NUMBER_LAST.search(base, 1):
        order = (_NUMBERED, "", -int(found[1]))  # logrotate shifts: 1 is the newest
    else:
        return None
    family = prefix + base[: found.start()]
    sure = family.endswith(_EXTENSIONS)
    return (family, order, not sure) if sure or family in known else None


def _stamped(prefix: str, base: str, known: Collection[str]) -> str:
    """Return the log whose whole name precedes numbers that tell no order; '' for none."""
    for mark in re.finditer(r"[-._](?=\d)", base):
        family = prefix + base[: mark.start()]
        if (family in known or family.endswith(_EXTENSIONS)) and _STAMP_LAST.match(base, mark.start()):
            return family
    return ""


def compile_exclusions(patterns: Collection[str]) -> Callable[[str], bool]:
    """Return a test whether the last part of a name matches one of the shell patterns (`*.hprof`), case-sensitive.

    Patterns that end in '/' are for folders, whose names are passed with a '/' at their end; the others are for files.
    """
    of_files = [pattern for pattern in patterns if not pattern.endswith("/")]
    # Most patterns are a bare suffix; one call of endswith tests all of these.
    endings = tuple(p[1:] for p in of_files if _ENDING.fullmatch(p))
    others = [fnmatch.translate(p) for p in of_files if not _ENDING.fullmatch(p)]
    matches = re.compile("|".join(others) or "(?!)").match
    folders = [fnmatch.translate(pattern[:-1]) for pattern in patterns if pattern.endswith("/")]
    matches_folder = re.compile("|".join(folders) or "(?!)").match

    def excluded(name: str) -> bool:
        if name.endswith("/"):
            folder = name[:-1]
            return matches_folder(folder, folder.rfind("/") + 1) is not None
        return name.endswith(endings) or matches(name, name.rfind("/") + 1) is not None

    return excluded
