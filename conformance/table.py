"""One table, operation by client: on the terminal, and between two comments of docs/compatibility.md."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from clients import CLIENTS
from service import ROOT

SAMPLE = "the published sample, unchanged"
# operation: what it asks for, as the table says it. Every client has to tell of each.
OPERATIONS = {
    SAMPLE: "ListLogsJob",
    "list clusters": "ListClustersDetails",
    "show cluster": "ShowClusterDetail",
    "open": "StartLogs",
    "show setting": "ShowGetLogSetting",
    "update setting": "UpdateLogSetting",
    "start policy": "StartLogAutoBackupPolicy",
    "setting shows the period": "ShowGetLogSetting",
    "stop policy": "StopLogAutoBackupPolicy",
    "collect": "CreateLogBackup",
    "collect while one runs": "409 CSS.3004",
    "list from RUNNING to SUCCESS": "ListLogsJob",
    "list page by page, past the end": "ListLogsJob",
    "unknown cluster": "403 CSS.0015",
    "unknown bucket": "400 CSS.0048",
    "bad agency": "400 CSS.5130",
    "bad period": "400 CSS.5020",
    "close": "StopLogs",
    "close what is closed": "415 CSS.0004",
    "wrong secret": "401 APIGW.0301",
    "project by the region's name": "KeystoneListProjects",
}
NOTES = {("go", "project by the region's name"): "by the builder"}
_REMARK = """\
`make conformance` runs each SDK, unmodified, against a fresh service; the first row is the published page's program.
An error counts as ok where the SDK tells its status, code, message and request id. "By the builder": the variable
`HUAWEICLOUD_SDK_IAM_ENDPOINT` takes https only in the SDK for Go, `WithIamEndpointOverride` takes plain http too."""

PAGE = ROOT / "docs" / "compatibility.md"
BEGIN, END = "<!-- made by make conformance WRITE=1: begin -->", "<!-- made by make conformance WRITE=1: end -->"


@dataclass(frozen=True)
class Result:
    """What a client told of one operation."""

    client: str
    version: str
    operation: str
    ok: bool
    detail: str


class Results:
    """All that was told; what was not told is not ok."""

    def __init__(self, results: list[Result]) -> None:
        self._found = {(result.client, result.operation): result for result in results}
        self._versions = {result.client: result.version for result in results if result.version}

    def failures(self) -> list[str]:
        wanted = [(client.name, operation) for client in CLIENTS for operation in OPERATIONS]
        unknown = [key for key in self._found if key not in wanted]
        return [
            f"{client}: {operation}: {self._detail(client, operation)}"
            for client, operation in [*wanted, *unknown]
            if not self._ok(client, operation) or (client, operation) in unknown
        ]

    def show(self) -> None:
        table = Table()
        for name in self._heads():
            table.add_column(name)
        for row in self._rows():
            table.add_row(*row)
        Console(width=None if Console().is_terminal else 120).print(table)

    def markdown(self) -> str:
        heads = self._heads()
        lines = [heads, ["---"] * len(heads), *self._rows()]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + f"\n\n{_REMARK}\n"

    def _heads(self) -> list[str]:
        return ["operation", "asks for", *(f"{c.title} {self._versions.get(c.name, '')}".rstrip() for c in CLIENTS)]

    def _rows(self) -> list[list[str]]:
        return [
            [operation, asked, *(self._cell(client.name, operation) for client in CLIENTS)]
            for operation, asked in OPERATIONS.items()
        ]

    def _cell(self, client: str, operation: str) -> str:
        if not self._ok(client, operation):
            return "FAILED"
        note = NOTES.get((client, operation))
        return f"ok, {note}" if note else "ok"

    def _ok(self, client: str, operation: str) -> bool:
        found = self._found.get((client, operation))
        return found is not None and found.ok

    def _detail(self, client: str, operation: str) -> str:
        found = self._found.get((client, operation))
        return found.detail if found else "the client did not come to it"


def is_on_page(block: str) -> bool:
    """Whether the page has this table between its two comments."""
    return PAGE.exists() and f"{BEGIN}\n\n{block}\n{END}" in PAGE.read_text("utf-8")


def write_page(block: str) -> None:
    """Replace what stands between the two comments; at the end of the page where it has none yet."""
    text = PAGE.read_text("utf-8") if PAGE.exists() else "# How it compares with CSS\n"
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n## What the official SDKs say\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{block}\n{END}{after}", "utf-8")
