"""`restore` and `verify` against a running service, and `demo`."""

from __future__ import annotations

import gzip
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from logkeep.stores.frames import decompress_frame, zstd
from tests.integration.cli.installed import COMMAND, Done, Served, environment, logkeep

Command = Callable[..., Done]


@pytest.fixture
def kept(tenant: Command, opened: str, node: Path) -> str:
    """A cluster with two backups, between which prod.log was rotated."""
    tenant("backup", opened, "--wait").ended(0)
    with (node / "prod.log").open("ab") as log:
        log.write(b"[2026-11-24T00:00:01,000][INFO ] the last line of the old file\n")
    with gzip.open(node / "prod-2026-11-24-1.log.gz", "wb") as rotated:
        rotated.write((node / "prod.log").read_bytes())
    (node / "prod.log").write_bytes(b"[2026-11-24T00:00:02,000][INFO ] a new file\n")
    tenant("backup", opened, "--wait").ended(0)
    return opened


def files_below(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_joined_is_all_that_was_kept_in_the_order_it_was_written(
    tenant: Command, kept: str, node: Path, tmp_path: Path
) -> None:
    told = tenant("restore", kept, "--to", tmp_path / "out", "--join", "--json").ended(0).json
    rotated = gzip.decompress((node / "prod-2026-11-24-1.log.gz").read_bytes())
    assert files_below(tmp_path / "out" / "n1") == {
        "prod.log": rotated + (node / "prod.log").read_bytes(),
        "prod_server.json": (node / "prod_server.json").read_bytes(),
        "gc.log": b"",
    }
    assert {file["family"]: file["bytes"] for file in told["files"]}["gc.log"] == 0
    assert told["failed"] == []


def test_each_file_comes_back_under_its_own_name(tenant: Command, kept: str, node: Path, tmp_path: Path) -> None:
    done = tenant("restore", kept, "--to", tmp_path / "out").ended(0)
    assert done.out.startswith("restored 4 files, ")
    restored = files_below(tmp_path / "out" / "n1")
    assert restored.keys() == {"prod.log", "prod-2026-11-24-1.log", "prod_server.json", "gc.log"}
    assert restored["prod-2026-11-24-1.log"].endswith(b"the last line of the old file\n")
    assert not list((tmp_path / "out").rglob("*.part"))


def test_of_two_generations_of_one_name_the_newest_has_it(
    tenant: Command, opened: str, node: Path, tmp_path: Path
) -> None:
    texts = [f"generation {number}\n".encode() * 100 for number in range(3)]
    for text in texts:
        (node / "prod.log").unlink()
        (node / "prod.log").write_bytes(text)
        tenant("backup", opened, "--wait").ended(0)
    tenant("restore", opened, "--to", tmp_path / "out", "--family", "prod.log").ended(0)
    restored = files_below(tmp_path / "out" / "n1")
    assert restored == {"prod.log.~1": texts[0], "prod.log.~2": texts[1], "prod.log": texts[2]}


def test_one_node_or_family_can_be_restored(tenant: Command, kept: str, tmp_path: Path) -> None:
    tenant("restore", kept, "--to", tmp_path / "out", "--node", "n1", "--family", "prod_server.json").ended(0)
    assert files_below(tmp_path / "out").keys() == {"n1/prod_server.json"}
    refused = tenant("restore", kept, "--to", tmp_path / "none", "--family", "nope").ended(2)
    assert "n1/prod.log" in refused.err
    assert not (tmp_path / "none").exists()


def test_nothing_is_overwritten_unless_it_is_asked_for(tenant: Command, kept: str, tmp_path: Path) -> None:
    (tmp_path / "out" / "n1").mkdir(parents=True)
    (tmp_path / "out" / "n1" / "prod.log").write_bytes(b"mine")
    assert "--force" in tenant("restore", kept, "--to", tmp_path / "out").ended(2).err
    assert files_below(tmp_path / "out") == {"n1/prod.log": b"mine"}
    tenant("restore", kept, "--to", tmp_path / "out", "--force").ended(0)
    assert files_below(tmp_path / "out")["n1/prod.log"] != b"mine"


def test_a_link_in_the_way_is_not_written_through(tenant: Command, kept: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "n1").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in tenant("restore", kept, "--to", tmp_path / "out", "--force").ended(2).err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_names_come_back_as_the_bytes_they_were(tenant: Command, opened: str, node: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9 %41 \xc3\xa9.log")
    (node / odd).write_bytes(b"odd\n")
    (node / "sub").mkdir()
    (node / "sub" / "deep.log").write_bytes(b"deep\n")
    tenant("backup", opened, "--wait").ended(0)
    tenant("restore", opened, "--to", tmp_path / "out").ended(0)
    assert (tmp_path / "out" / "n1" / odd).read_bytes() == b"odd\n"
    assert (tmp_path / "out" / "n1" / "sub" / "deep.log").read_bytes() == b"deep\n"


def test_nothing_kept_yet_is_a_failure(tenant: Command, opened: str, tmp_path: Path) -> None:
    assert f" records {opened}`" in tenant("restore", opened, "--to", tmp_path / "out").ended(1).err


def test_a_directory_that_cannot_be_written_is_named(tenant: Command, kept: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in tenant("restore", kept, "--to", tmp_path / "file").ended(1).err


# verify


def objects_of(served: Served, cluster: str) -> list[Path]:
    return sorted((served.directory / "buckets" / "logs" / "css" / "log" / cluster).rglob("*.zst"))


def test_a_whole_archive_is_proved(tenant: Command, kept: str, served: Served) -> None:
    report = tenant("verify", kept, "--read-data", "--json").ended(0).json
    objects = objects_of(served, kept)
    assert report == {
        "ok": True,
        "objects": len(objects),
        "bytes": sum(path.stat().st_size for path in objects),
        "objectsRead": len(objects),
        "findings": [],
        "findingsTotal": 0,
        "orphans": {"objects": 0, "bytes": 0},
        "unproven": {"manifests": 0, "head": ""},
        "removed": {"objects": 0, "waiting": 0, "waitingBytes": 0},
        "chain": None,
        "error": None,
        "repair": None,
    }
    assert "nothing is wrong" in tenant("verify", kept).ended(0).out


def test_what_was_proven_can_be_noted(tenant: Command, kept: str) -> None:
    chain = tenant("verify", kept, "--chain", "--json").ended(0).json["chain"]
    assert chain["manifests"] == len(tenant("records", kept, "--json").json["clusterLogRecord"])
    [key] = chain["keys"]
    shown = tenant("verify", kept, "--chain", "--head", chain["head"]).ended(0).out
    assert f"  the last  {chain['head']}\n  signed by {key}\n" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_sample_is_read_back(tenant: Command, kept: str, served: Served) -> None:
    count = len(objects_of(served, kept))
    assert [tenant("verify", kept, *sample, "--json").ended(0).json["objectsRead"] for sample in (
        ("--sample", "1%"), ("--sample", "50"), ("--sample=100%",), ())
    ] == [1, (count + 1) // 2, count, 0]  # fmt: skip
    for wrong in ("0", "101", "-5", "x", "5%%", "1e1"):
        assert "percentage" in tenant("verify", kept, f"--sample={wrong}").ended(2).err
    tenant("verify", kept, "--sample", "5", "--read-data").ended(2)


def test_a_foreign_object_is_named(tenant: Command, kept: str, served: Served) -> None:
    foreign = objects_of(served, kept)[0].with_name("notes.txt")
    foreign.write_bytes(b"theirs")
    done = tenant("verify", kept).ended(1)
    assert done.out.startswith(f"foreign: nothing in the catalogue tells of it: css/log/{kept}/n1/")
    assert "notes.txt" in done.out


def test_of_many_findings_of_a_kind_the_first_few_are_shown_and_how_many_there_are(
    tenant: Command, kept: str, served: Served
) -> None:
    first = objects_of(served, kept)[0]
    first.unlink()
    for number in range(1200):
        first.with_name(f"junk-{number:032x}").touch()
        first.with_name(f"{number:08d}-{0:015d}-{'0' * 32}.1-1.zst").write_bytes(b"left")
    done = tenant("verify", kept).ended(1)
    lines = done.out.splitlines()
    assert len(lines) < 20
    assert any(line.startswith("missing: ") for line in lines)
    assert "1,195 more: foreign: nothing in the catalogue tells of it" in lines
    assert "--json names all of 1,201" in lines
    assert "1,201 findings" in done.err
    assert max(len(line) for line in lines if first.parent.name not in line and "`" not in line) <= 80
    report = tenant("verify", kept, "--json").ended(1).json
    assert (len(report["findings"]), report["findingsTotal"]) == (1201, 1201)


def test_a_missing_object_is_found(tenant: Command, kept: str, served: Served) -> None:
    gone = objects_of(served, kept)[0]
    gone.unlink()
    done = tenant("verify", kept).ended(1)
    assert gone.name in done.out
    assert "missing" in done.out
    report = tenant("verify", kept, "--json").ended(1).json
    assert [finding["problem"] for finding in report["findings"]] == ["missing"]
    assert report["ok"] is False


def test_damage_is_found_where_it_is_read_and_the_rest_is_restored(
    tenant: Command, kept: str, served: Served, tmp_path: Path
) -> None:
    damaged = next(path for path in objects_of(served, kept) if path.parent.name == "prod_server.json")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    tenant("verify", kept).ended(0)
    told = tenant("verify", kept, "--read-data").ended(1).out
    assert damaged.name in told
    assert "lines 1 to 50 (2026-11-24T00:00:00,000Z to 2026-11-24T00:00:00,000Z)" in told
    done = tenant("restore", kept, "--to", tmp_path / "out").ended(1)
    assert "prod_server.json" in done.err
    assert "--read-data" in done.err
    assert files_below(tmp_path / "out" / "n1").keys() == {"prod.log", "prod-2026-11-24-1.log", "gc.log"}


@pytest.mark.parametrize("damage", ["longer", "other"])
def test_an_object_that_is_not_what_was_stored_is_told_at_once_and_by_every_later_verify(
    tenant: Command, kept: str, served: Served, tmp_path: Path, damage: str
) -> None:
    damaged = next(path for path in objects_of(served, kept) if path.parent.name == "prod_server.json")
    frame = damaged.read_bytes()
    if damage == "longer":
        damaged.write_bytes(frame + b"x")
    else:
        plain = decompress_frame(frame).replace(b"2026-11-24T00", b"2026-11-24T01", 1)
        forged = zstd.compress(plain, options={zstd.CompressionParameter.checksum_flag: 1})
        damaged.write_bytes(forged)
    tenant("verify", kept, "--read-data").ended(1)
    if damage == "longer" or len(forged) == len(frame):
        tenant("verify", kept).ended(1)
    began = time.monotonic()
    done = tenant("restore", kept, "--to", tmp_path / "out").ended(1)
    assert "LK-STORE-CORRUPT" in done.err and time.monotonic() - began < 30
    assert "n1/prod_server.json" not in files_below(tmp_path / "out")
    assert tenant("restore", kept, "--to", tmp_path / "out", "--resume").ended(1)


def test_what_was_found_damaged_is_not_whole_because_of_its_size(tenant: Command, kept: str, served: Served) -> None:
    damaged = next(path for path in objects_of(served, kept) if path.parent.name == "prod_server.json")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    tenant("verify", kept).ended(0)
    tenant("verify", kept, "--read-data").ended(1)
    assert damaged.name in tenant("verify", kept).ended(1).out


def test_the_last_verification_is_shown(tenant: Command, kept: str, served: Served) -> None:
    assert "last verified  never" in tenant("cluster", "show", kept).ended(0).out
    assert tenant("cluster", "show", kept, "--json").ended(0).json["verification"]["finishedAt"] is None
    count = len(objects_of(served, kept))
    tenant("verify", kept, "--sample", "1").ended(0)
    shown = tenant("cluster", "show", kept).ended(0).out
    assert f"1 of {count} objects read back, 0 findings" in shown
    objects_of(served, kept)[0].unlink()
    tenant("verify", kept).ended(1)
    assert "1 finding: css/log/" in tenant("cluster", "show", kept).ended(0).out
    told = tenant("cluster", "show", kept, "--json").ended(0).json
    assert (told["name"], told["verification"]["findings"]) == (kept, 1)


def test_what_the_bucket_lost_is_kept_again(tenant: Command, kept: str, served: Served, node: Path) -> None:
    there, gone = (
        next(path for path in objects_of(served, kept) if path.parent.name == name)
        for name in ("prod_server.json", "prod.log")
    )
    data = there.read_bytes()
    there.unlink()
    told = tenant("verify", kept).ended(1).out
    assert f" verify {kept} --repair`" in told
    told = tenant("verify", kept, "--repair").ended(0).out
    assert "LK-SEGMENT-REPAIRED: node n1: generation" in told
    assert told.splitlines()[-1].startswith(f"nothing is wrong with {kept}: ")
    assert there.read_bytes() == data
    assert tenant("verify", kept, "--repair", "--json").ended(0).json["repair"] is None
    gone.unlink()
    (node / "prod-2026-11-24-1.log.gz").unlink()
    told = tenant("verify", kept, "--repair").ended(1).out
    assert "LK-SEGMENT-LOST" in told
    assert " --repair`" not in tenant("verify", kept).ended(1).out
    told = tenant("verify", kept, "--repair", "--json").ended(1).json
    assert told["repair"]["status"] == "SUCCESS"
    assert [one["onNode"] for one in told["findings"]] == [False]


# sweep


def test_orphans_are_listed_and_removed(tenant: Command, kept: str, served: Served) -> None:
    some = objects_of(served, kept)[0]
    left = some.with_name(f"00000009-000000000000000-{'f' * 32}.1-1.zst")
    left.write_bytes(b"left")
    assert tenant("verify", kept, "--json").ended(0).json["orphans"] == {"objects": 1, "bytes": 4}
    assert f" sweep {kept} --dry-run`" in tenant("verify", kept).ended(0).out
    assert "younger than the grace time" in tenant("sweep", kept, "--yes").ended(0).out
    listed = tenant("sweep", kept, "--dry-run", "--grace", "0").ended(0).out
    assert listed.startswith(f"removable: css/log/{kept}/n1/")
    assert listed.endswith("1 object, 4 B, removable\n")
    assert left.exists()
    told = tenant("sweep", kept, "--yes", "--grace", "0", "--json").ended(0).json
    assert [(one["object"].rpartition("/")[2], one["fate"], one["cluster"]) for one in told["orphans"]] == [
        (left.name, "removed", kept)
    ]
    assert (told["removed"], told["dry_run"]) == ({"objects": 1, "bytes": 4}, False)
    assert not left.exists()
    assert some.exists()
    assert tenant("sweep", kept, "--yes").ended(0).out == "there are no orphans\n"


def test_sweep_is_told_what_to_do(tenant: Command, kept: str) -> None:
    assert "--dry-run" in tenant("sweep").ended(2).err
    tenant("sweep", "--dry-run", "--yes").ended(2)
    tenant("sweep", "--yes", "--grace", "-1").ended(2)
    assert "there is no cluster nope" in tenant("sweep", "nope", "--dry-run").ended(2).err
    tenant("sweep", "--dry-run").ended(0)


# Parts of an archive


@pytest.fixture
def day(tenant: Command, opened: str, node: Path) -> bytes:
    """What is kept of prod.log: a day, a record and a trace each second minute, kept by two backups."""
    lines = [
        f"[2026-11-24T{minute // 60:02}:{minute % 60:02}:00,000][INFO ] line {minute}\n\tat a.b(C.java:{minute})\n"
        for minute in range(0, 1440, 2)
    ]
    data = "".join(lines).encode()
    (node / "prod.log").write_bytes(data[:20_000])
    tenant("backup", opened, "--wait").ended(0)
    (node / "prod.log").write_bytes(data)
    tenant("backup", opened, "--wait").ended(0)
    return data


def test_a_span_of_time_is_exact_to_the_line(tenant: Command, opened: str, day: bytes, tmp_path: Path) -> None:
    span = ("--since", "2026-11-24T06:40", "--until", "2026-11-24T06:44:00.001")
    told = tenant("restore", opened, "--to", tmp_path / "out", *span, "--json").ended(0).json
    first, last = day.index(b"[2026-11-24T06:40"), day.index(b"[2026-11-24T06:46")
    assert files_below(tmp_path / "out") == {"n1/prod.log": day[first:last]}
    assert (told["bytes"], told["files"][0]["timed"]) == (last - first, True)
    assert "since 2027" in tenant("restore", opened, "--to", tmp_path / "none", "--since", "2027-01-01").ended(2).err
    assert "write it as" in tenant("restore", opened, "--to", tmp_path / "none", "--until", "noon").ended(2).err


def test_what_has_no_times_is_given_whole_and_told(tenant: Command, opened: str, node: Path, tmp_path: Path) -> None:
    (node / "plain.log").write_bytes(b"no time\n" * 10)
    tenant("backup", opened, "--wait").ended(0)
    done = tenant("restore", opened, "--to", tmp_path / "out", "--since", "2026-11-25").ended(0)
    assert files_below(tmp_path / "out") == {"n1/plain.log": b"no time\n" * 10}
    assert "n1/plain.log: no times are known" in done.err


def test_one_job_gives_what_it_stored(tenant: Command, opened: str, day: bytes, tmp_path: Path) -> None:
    newest, oldest = tenant("records", opened, "--json").ended(0).json["clusterLogRecord"]
    for record, wanted in ((oldest, day[:20_000]), (newest, day[20_000:])):
        to = tmp_path / record["jobId"]
        tenant("restore", opened, "--to", to, "--job", record["jobId"], "--family", "prod.log").ended(0)
        assert files_below(to) == {"n1/prod.log": wanted}
    assert f"job {'0' * 32}" in tenant("restore", opened, "--to", tmp_path / "x", "--job", "0" * 32).ended(2).err


def test_standard_output_gets_all_in_the_order_of_writing(
    tenant: Command, kept: str, node: Path, served: Served, tmp_path: Path
) -> None:
    tenant("restore", kept, "--to", tmp_path / "out", "--join").ended(0)
    joined = files_below(tmp_path / "out" / "n1")
    for arguments, wanted in (
        (["--family", "prod.log"], joined["prod.log"]),
        ([], joined["gc.log"] + joined["prod.log"] + joined["prod_server.json"]),
    ):
        command = [*COMMAND, "--dir", str(served.directory), "restore", kept, "--to", "-", *arguments]
        done = subprocess.run(command, env=environment(), capture_output=True, check=True)
        assert (done.stdout, done.stderr) == (wanted, b"")
    assert "--json" in tenant("restore", kept, "--to", "-", "--json").ended(2).err
    assert "--resume" in tenant("restore", kept, "--to", "-", "--resume").ended(2).err


def test_a_reader_that_has_enough_ends_it_quietly(tenant: Command, opened: str, node: Path, served: Served) -> None:
    (node / "prod.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] a line\n" * 200_000)
    tenant("backup", opened, "--wait").ended(0)
    logkeep_restore = shlex.join([*COMMAND, "--dir", str(served.directory), "restore", opened, "--to", "-"])
    done = subprocess.run(
        f"{logkeep_restore} | head -c 100 | wc -c",
        shell=True,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("100", "")


def test_nothing_after_damage_reaches_standard_output(tenant: Command, kept: str, served: Served) -> None:
    damaged = next(path for path in objects_of(served, kept) if path.parent.name == "prod.log")
    damaged.write_bytes(b"damaged")
    command = [*COMMAND, "--dir", str(served.directory), "restore", kept, "--to", "-"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"LK-STORE-CORRUPT" in done.stderr and b"n1/prod" in done.stderr


# demo


@pytest.fixture
def source(tmp_path: Path) -> Path:
    logs = tmp_path / "source"
    logs.mkdir()
    (logs / "prod.log").write_bytes(b"[2026-11-24T00:00:00,000][INFO ] a line\n" * 500)
    (logs / "prod_server.json").write_bytes(b'{"timestamp": "2026-11-24T00:00:00,000Z"}\n' * 500)
    (logs / "heap.hprof").write_bytes(b"not a log")
    (logs / "link.log").symlink_to(logs / "prod.log")
    (logs / "prod-1.log.gz").write_bytes(gzip.compress(b"[2026-11-23T00:00:00,000][INFO ] a line\n")[:-8])
    return logs


def test_the_demo_proves_the_archive_and_only_reads_its_source(source: Path, tmp_path: Path) -> None:
    before = files_below(source)
    demo = ("--dir", tmp_path / "d", "demo", "--logs", source, "--once")
    told = logkeep(*demo, LOGKEEP_DATABASE="nonsense: another installation's").ended(0).out
    for text in (
        "left out: heap.hprof is no log",
        "left out: link.log is no regular file",
        "left out: prod-1.log.gz is no whole gzip file",
        "prod.log was renamed, begun anew, and compressed to prod-",
        "/data serve` starts it again",
        '"clusterLogRecord": [',
        "_manifests/",
    ):
        assert text in told
    assert "http://127.0.0.1" not in told, "nobody listens there any more"
    again = logkeep(*demo, "--json").ended(0).json
    assert again["ok"] is True
    assert [backup["status"] for backup in again["backups"]] == ["SUCCESS", "SUCCESS"]
    first, second = again["backups"]
    assert first["new_bytes"] == sum(
        len(data) for name, data in before.items() if name in {"prod.log", "prod_server.json"}
    )
    assert 0 < second["new_bytes"] < second["kept_bytes"]
    assert again["equal"] == {"files": 4, "families": 2}
    assert len(again["records"]["clusterLogRecord"]) == 2
    assert files_below(source) == before


def test_the_demo_refuses_directories_that_are_not_its_own(command: Command, source: Path, tmp_path: Path) -> None:
    (tmp_path / "d" / "demo").mkdir(parents=True)
    (tmp_path / "d" / "demo" / "mine").touch()
    assert "--dir" in command("--dir", tmp_path / "d", "demo", "--logs", source).ended(2).err
    assert "--dir" in command("--dir", source, "demo", "--logs", source).ended(2).err
    assert "--logs" in command("demo", "--logs", tmp_path / "nowhere").ended(2).err
    assert environment().keys().isdisjoint({"LOGKEEP_DIR"})
