"""Writes the bill of materials of the package, in the form of CycloneDX: python -m tests.support.sbom ENVIRONMENT FILE

The environment holds what requirements.lock names and nothing else: names, versions, licences and dependencies are told by
what is installed there, hashes by the lock file. cyclonedx-py reads both, but puts them into two documents.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from logkeep import __version__

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "logkeep" / "console" / "static"
_VERSION = SchemaVersion.V1_6
_SCRIPTS = {"htmx": ("htmx.org", "0BSD"), "uplot": ("uplot", "MIT")}  # of the console, by their files: name and licence


def main(environment: str, target: str) -> None:
    document = describe(Path(environment))
    Path(target).write_text(document, "utf-8")


def describe(environment: Path) -> str:
    """Return the bill of materials. Raises `RuntimeError` where what is installed is not what the lock file names."""
    bill = _ask("environment", str(environment / "bin" / "python"), "--pyproject", "pyproject.toml")
    locked = {
        _identity(one): one["externalReferences"] for one in _ask("requirements", "requirements.lock")["components"]
    }
    for component in bill["components"]:
        if _identity(component) not in locked:
            raise RuntimeError(f"{component['purl']} is installed, and requirements.lock does not name it")
        component["externalReferences"] = [*component.get("externalReferences", ()), *locked[_identity(component)]]
    bill["metadata"]["component"] |= {"version": __version__, "purl": f"pkg:pypi/logkeep@{__version__}"}
    _add_scripts(bill)
    document = json.dumps(bill, indent=2, ensure_ascii=False) + "\n"
    if wrong := JsonStrictValidator(_VERSION).validate_str(document):
        raise RuntimeError(f"the bill of materials is not CycloneDX {_VERSION.to_version()}: {wrong}")
    return document


def _ask(kind: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", kind, *arguments]
    options = ("--output-reproducible", "--no-validate", "--spec-version", _VERSION.to_version())
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr}")
    return json.loads(done.stdout)


def _identity(component: dict[str, Any]) -> tuple[str, str]:
    """Return name and version: `backports.zstd` is `backports-zstd` in a lock file."""
    return canonicalize_name(component["name"]), component["version"]


def _add_scripts(bill: dict[str, Any]) -> None:
    root = bill["metadata"]["component"]["bom-ref"]
    scripts = list(_scripts())
    bill["components"] += scripts
    names = [script["bom-ref"] for script in scripts]
    next(one for one in bill["dependencies"] if one["ref"] == root)["dependsOn"] += names
    bill["dependencies"] += [{"ref": name} for name in names]


def _scripts() -> Iterator[dict[str, Any]]:
    """Yield the scripts of others that the console ships. Raises `KeyError` for one whose licence is not known here."""
    for path in sorted(STATIC.glob("*.min.js")):
        found = re.fullmatch(r"(\w+)-([\d.]+)\.min\.js", path.name)
        assert found, f"{path.name} does not tell its version"
        name, licence = _SCRIPTS[found[1]]
        url = f"pkg:npm/{name}@{found[2]}"
        yield {
            "bom-ref": url,
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
            "licenses": [{"license": {"acknowledgement": "declared", "id": licence}}],
            "name": name,
            "purl": url,
            "type": "library",
            "version": found[2],
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
