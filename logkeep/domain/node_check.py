"""Check of a node's log directory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class NodeCheck:
    """Result of checking one node's log directory."""

    node: str
    reachable: bool = False
    problem: str = ""  # why it cannot be listed, or looks wrong, with its code; '' if it is fine
    files: int = 0  # number of logs
    bytes: int = 0  # size of the logs, compressed files as they are
    opened: int = 0  # logs opened to see whether this user may read them
    unreadable: list[str] = field(default_factory=list[str])  # the first few, each with its reason
    unreadable_total: int = 0
    left_out: dict[str, int] = field(default_factory=dict[str, int])  # number of other entries, by kind
    left_out_names: list[str] = field(default_factory=list[str])  # the first few

    @property
    def warning(self) -> str:
        """Return what to tell whoever registers the node; '' for nothing."""
        if self.problem:
            return f"node {self.node}: {self.problem}"
        if self.unreadable:
            return f"node {self.node}: {self.unreadable_total} files or folders cannot be read: {self.unreadable[0]}"
        return ""
