"""Entry point of the command `logkeep`, also `python -m logkeep`."""

from __future__ import annotations

import sys

from logkeep.cli.app import run
from logkeep.cli.ending import end_process


def main() -> None:
    end_process(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
