"""Entry point of the command `logkeep`, also `python -m logkeep`."""

from __future__ import annotations

import sys

from logkeep.cli.app import run


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
