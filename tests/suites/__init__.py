"""Suites that several kinds share; what an assertion compares is shown, as in a test file."""

import pytest

pytest.register_assert_rewrite("tests.suites.source_suite", "tests.suites.store_suite")
