"""Who never opens the console pays nothing for it."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_of_the_console_is_imported_with_the_service() -> None:
    script = (
        "import sys, logkeep.cli.application;"
        "print([name for name in sys.modules if name.startswith(('jinja2', 'logkeep.console', 'gettext_'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
