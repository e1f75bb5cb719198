"""Every code that a user can read in `failedMsg` is documented with its remedy, and a real fault leads to it.

Not marked `real`: it reads the tests on faults, and runs none of them.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from logkeep import errors
from logkeep.domain.warning import WarningCode
from tests.contract import test_admin_api
from tests.integration import test_backups, test_put_back
from tests.real import test_faults, test_s3_store
from tests.unit.backup import test_identity

DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"
NEVER_SAID = {errors.SourceVanished.code, errors.JobSuperseded.code, errors.CatalogueError.code}
REACHED_BY = {
    "LK-SOURCE-REFUSED": test_faults.test_logs_that_cannot_be_read,
    "LK-SOURCE-UNREACHABLE": test_faults.test_logs_that_cannot_be_read,
    "LK-SOURCE-UNREADABLE": test_faults.test_logs_that_cannot_be_read,
    "LK-SOURCE-UNSETTLED": test_identity.test_job_that_uses_up_its_rounds_says_what_it_left,
    "LK-STORE-UNREACHABLE": test_faults.test_s3_that_fails_before_and_in_mid_upload,
    "LK-STORE-DENIED": test_faults.test_s3_that_fails_before_and_in_mid_upload,
    "LK-STORE-LOCKED": test_s3_store.test_what_a_lock_keeps_stays_until_it_has_run_out,
    "LK-STORE-FULL": test_faults.test_folder_that_fails,
    "LK-STORE-MISSING": test_faults.test_s3_that_fails_before_and_in_mid_upload,
    "LK-STORE-CORRUPT": test_faults.test_s3_that_gives_back_other_bytes_gets_no_backup,
    "LK-CHAIN-FORKED": test_put_back.test_two_that_went_on_from_one_are_told_apart,
    "LK-JOB-CANCELLED": test_admin_api.test_a_backup_that_is_cancelled_is_fail_at_once_and_its_cluster_can_be_removed,
    "LK-MEMORY": test_backups.test_unexpected_error_on_one_node_fails_the_job_and_keeps_the_others,
    "LK-INTERNAL": test_faults.test_service_that_can_start_no_thread,
}


def codes() -> set[str]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.JobError)]
    return {kind.code for kind in kinds} - set(WarningCode)  # what a job only warns of


def test_every_code_that_can_be_said_is_documented_with_cause_and_remedy() -> None:
    failures = DOCUMENT.read_text("utf-8").partition("## Of a backup")[2].partition("### Warnings")[0]
    rows = re.findall(r"^\| (LK-[A-Z-]+) \| ([^|]+) \| ([^|]+) \|$", failures, re.MULTILINE)
    assert {code for code, _, _ in rows} == codes() - NEVER_SAID
    assert all(cause.strip() and remedy.strip() for _, cause, remedy in rows)


def test_what_is_never_said_is_named_as_such() -> None:
    [sentence] = re.findall(r"Three codes are never in `failedMsg`.*?\n\n", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert set(re.findall(r"LK-[A-Z-]+", sentence)) == NEVER_SAID


def test_every_code_that_can_be_said_is_reached_by_a_real_fault() -> None:
    assert set(REACHED_BY) == codes() - NEVER_SAID
    for code, test in REACHED_BY.items():
        marks = [mark.name for mark in getattr(test, "pytestmark", [])]
        expected = [mark.args for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
        assert code in inspect.getsource(test) or code in str(expected), (code, test.__name__, marks)
