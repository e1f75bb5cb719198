"""Names that a service sends, and where they are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logkeep.cli.errors import CommandFailed, UsageError
from logkeep.cli.restore import check_free, plan_files, plan_joined
from logkeep.contract.native.responses import KeptLine


def kept(name: str, *, node: str = "n1", family: str = "", generation: int = 1) -> KeptLine:
    return KeptLine(node, family or name, generation, name, 1, 0, 1, 1, timed=True)


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "",
        ".",
        "..",
        "a//b",
        "a/",
        "%2E%2E/x",
        "..%2Fx",
        "%2Fetc/x",
        "a%00b",
        "x" * 256,
    ],
)
def test_a_name_never_leads_out_of_the_directory(name: str) -> None:
    for plan in (plan_files, plan_joined):
        with pytest.raises(CommandFailed):
            plan([kept(name)])


@pytest.mark.parametrize("node", ["..", ".", "", "a/b", "%2E%2E", "a%2Fb", "/"])
def test_nor_does_the_name_of_a_node(node: str) -> None:
    for plan in (plan_files, plan_joined):
        with pytest.raises(CommandFailed):
            plan([kept("x.log", node=node)])


def test_escapes_are_the_bytes_they_stand_for() -> None:
    [file] = plan_files([kept("caf%E9 %25.log")])
    assert os.fsencode(file.path) == b"n1/caf\xe9 %.log"


def test_older_generations_of_a_name_are_numbered_from_the_oldest() -> None:
    files = plan_files([kept("a.log", generation=number) for number in (1, 2, 3)])
    assert {str(file.path): file.parts[0].generation for file in files} == {
        "n1/a.log.~1": 1, "n1/a.log.~2": 2, "n1/a.log": 3,
    }  # fmt: skip


def test_a_number_that_is_a_name_of_its_own_is_passed_over() -> None:
    files = plan_files([kept("a.log", generation=1), kept("a.log", generation=2), kept("a.log.~1", generation=3)])
    assert {str(file.path): file.parts[0].generation for file in files} == {
        "n1/a.log.~2": 1, "n1/a.log": 2, "n1/a.log.~1": 3,
    }  # fmt: skip


def test_joining_keeps_the_order_and_the_families_apart() -> None:
    files = plan_joined(
        [kept("a-1.log", family="a.log", generation=7), kept("a.log", family="a.log", generation=2), kept("b.log")]
    )
    assert [(str(file.path), [part.generation for part in file.parts]) for file in files] == [
        ("n1/a.log", [7, 2]),
        ("n1/b.log", [1]),
    ]


def test_two_spellings_of_one_name_do_not_overwrite_each_other() -> None:
    with pytest.raises(CommandFailed, match="one file name"):
        plan_joined([kept("A.log"), kept("%41.log")])


def test_a_file_that_is_a_folder_of_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--family"):
        check_free(tmp_path, plan_files([kept("a"), kept("a/b")]), force=True)


def test_a_directory_in_the_way_is_refused_even_by_force(tmp_path: Path) -> None:
    (tmp_path / "n1" / "a.log").mkdir(parents=True)
    with pytest.raises(UsageError, match="is a directory"):
        check_free(tmp_path, plan_files([kept("a.log")]), force=True)
