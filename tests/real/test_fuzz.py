"""Thousands of cases made from /openapi.json; `LOGKEEP_TEST_SEED` makes others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.contract.fuzz import fuzz, fuzzed_service

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


def test_thousands_of_cases_meet_no_answer_outside_the_document(tmp_path: Path) -> None:
    seed = int(os.environ.get("LOGKEEP_TEST_SEED", "8475"))
    with fuzzed_service(tmp_path) as (service, document):
        outcome = fuzz(service, document, examples=30, seed=seed)
    print(f"seed {seed}: {outcome.cases} cases in {outcome.seconds:.0f} s, {dict(outcome.phases)}")
    failures = "\n\n".join(f"{name}\n{text}" for name, text in outcome.failures.items())
    assert not failures, f"LOGKEEP_TEST_SEED={seed} repeats this\n{failures}"
    assert outcome.cases >= 3000
