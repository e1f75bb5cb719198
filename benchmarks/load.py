"""A server under load, by wrk: it asks as fast as it is answered, at a small part of the cost of the answers."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

_CONNECTIONS = 8
SECONDS = 3
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_SHARE = r"^ +{}% +([\d.]+)(us|ms|s|m) *$"


@dataclass(frozen=True)
class Load:
    rate: float  # answers a second
    p50: float  # ms
    p99: float


def put_under_load(wrk: str, url: str, headers: Mapping[str, str], seconds: int = SECONDS) -> Load:
    """Some connections kept busy for some seconds; every answer must be a good one."""
    command = [wrk, "--latency", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    told = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told, told
    assert "Socket errors" not in told, told
    rate = re.search(r"^Requests/sec: +([\d.]+)$", told, re.MULTILINE)
    assert rate, told
    return Load(float(rate[1]), _share(told, 50), _share(told, 99))


def _share(told: str, percent: int) -> float:
    found = re.search(_SHARE.format(percent), told, re.MULTILINE)
    assert found, told
    return float(found[1]) * _UNITS[found[2]]
