"""Checks an archive of Logkeep without Logkeep: python verify_chain.py sign.pub BUCKET_FOLDER [--head SHA256]...

It needs Python 3.11 and the package `cryptography`. docs/backup-format.md tells what it relies on. Exit code 1 if
anything is wrong. What was cut off at the end of a chain shows only against --head, a hash that was noted before.
"""

import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

LARGEST_MANIFEST = 256 * 1024 * 1024  # bytes; Logkeep writes no larger one


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_signed(path: Path, keys: list) -> bool:
    """Whether the bytes beside a manifest are the signature of one of the keys over its bytes."""
    signature = Path(f"{path}.sig")
    possible = signature.is_file() and signature.stat().st_size == 64 and path.stat().st_size <= LARGEST_MANIFEST
    for key in keys if possible else ():
        try:
            key.verify(signature.read_bytes(), path.read_bytes())
            return True
        except InvalidSignature:
            continue
    return False


def prove(places: dict[str, list[Path]], signed: set[Path]) -> dict[str, dict]:
    """A manifest is proven by a trusted signature, or by a proven one that names its hash. No other is even decoded."""
    proven, waiting = {}, [digest for digest, paths in places.items() if signed.intersection(paths)]
    while waiting:
        digest = waiting.pop()
        proven[digest] = json.loads(places[digest][0].read_bytes())
        if (previous := proven[digest]["previous"]) in places and previous not in proven and previous not in waiting:
            waiting.append(previous)
    return proven


def order(mine: dict[str, dict]) -> tuple[list[str], list[tuple[str, str]]]:
    """The hashes of a cluster's chain from the last to the first, and what is wrong with it.

    It goes down from the longest one. Of several attempts of one job the one that was gone on from counts, or the last;
    that of a job counts for nothing whose end the next one tells: it ended otherwise just when that was stored.
    """

    def rank(digest: str) -> tuple[int, int, int]:
        manifest = mine[digest]
        return manifest["number"], manifest["job"]["created_at"], int(manifest["object"].split(".")[-2])

    chain, jobs, wrong = [], set(), []
    ends = set(mine) - {manifest["previous"] for manifest in mine.values()}
    for end in sorted(ends, key=rank, reverse=True):
        job = mine[end]["previous"], mine[end]["job"]["job_id"]
        if chain and mine[end]["number"] >= mine[chain[-1]]["number"]:
            wrong += [] if job in jobs else [(end, "another chain of this cluster ends here")]
            continue
        digest = end
        while digest in mine:
            chain.append(digest)
            digest = mine[digest]["previous"]
            ended = [mine[chain[-1]], *mine[chain[-1]]["earlier"]]
            jobs.update((digest, told["job"]["job_id"]) for told in ended)
        wrong += [(chain[-1], "the manifest before it is missing")] if digest else []
    return chain, wrong


def prove_entries(folder: Path, keys: list, mine: dict[str, dict]) -> tuple[dict[tuple, str], list[Path], list[str]]:
    """What proven removal entries of a cluster name, by object and hash; the entries; and what is wrong with them.

    An entry is proven by a trusted signature, or by a proven manifest or entry that names its hash. The highest number
    is the end of their chain.
    """
    cluster, removals = next(iter(mine.values()))["cluster_id"], [one.get("removal") for one in mine.values()]
    found = sorted(folder.rglob(f"_retention/*-{cluster}.json"), reverse=True)
    paths = {sha256(path): path for path in found}
    signed = {digest for digest, path in paths.items() if is_signed(path, keys)}
    proven, waiting = {}, [*signed, *filter(None, removals)]
    while waiting:
        if (digest := waiting.pop()) in paths and digest not in proven:
            proven[digest] = json.loads(paths[digest].read_bytes())
            waiting.append(proven[digest]["previous"])
    chain, named = [], {}
    for end in sorted(proven, key=lambda one: (proven[one]["number"], one in removals), reverse=True):
        digest = end if not chain or proven[end]["number"] < proven[chain[-1]]["number"] else ""
        while digest in proven:
            chain.append(digest)
            named |= {(one["object"], one["sha256"]): one["rule"] for one in proven[digest]["segments"]}
            digest = proven[digest]["previous"]
    there = {proven[digest]["previous"] for digest in chain} | {*filter(None, removals)}
    wrong = [f"the removal entry {digest} is named, and missing" for digest in there - {""} - proven.keys()]
    wrong += [f"{path}: this removal entry is a copy" for path in found if path not in paths.values()]
    for digest, path in paths.items():
        if digest not in signed:
            wrong.append(f"{path}: its own signature is missing or of another key")
        elif digest not in chain or path != Path(folder, proven[digest]["object"]):
            wrong.append(f"{path}: this removal entry is of another chain, or was moved or copied here")
    return named, found, wrong


def main(trusted: str, bucket: str, *heads: str) -> int:
    keys = [load_pem_public_key(b"-----BEGIN " + b) for b in Path(trusted).read_bytes().split(b"-----BEGIN ")[1:]]
    places, named, tips, gone, wrong = {}, set(), set(), {}, []
    for path in sorted(Path(bucket).rglob("_manifests/*.json")):
        places.setdefault(sha256(path), []).append(path)
    signed = {path for paths in places.values() for path in paths if is_signed(path, keys)}
    proven = prove(places, signed)
    for cluster in sorted({manifest["cluster_id"] for manifest in proven.values()}):
        mine = {digest: manifest for digest, manifest in proven.items() if manifest["cluster_id"] == cluster}
        chain, problems = order(mine)
        removed, entries, unproven = prove_entries(Path(bucket), keys, {digest: mine[digest] for digest in chain})
        named |= {Path(f"{path}{end}") for path in entries for end in ("", ".sig")}
        wrong += unproven
        wrong += [f"{places[digest][0]}: {problem}" for digest, problem in problems]
        for manifest in map(proven.get, chain):
            path = Path(bucket, manifest["object"])
            if path not in signed:
                wrong.append(f"{path}: its own signature is missing or of another key")
            if manifest["unproven"]:
                wrong.append(f"{path}: unproven is what came before it, down from the manifest {manifest['unproven']}")
            for segment in manifest["segments"]:
                thing = Path(bucket, segment["object"])
                named.add(thing)
                if (segment["object"], segment["sha256"]) in removed:
                    gone[cluster] = gone.get(cluster, 0) + 1
                elif not thing.is_file() or sha256(thing) != segment["sha256"]:
                    wrong.append(f"{thing}: missing or changed, job {manifest['job']['job_id']}")
        tips.update(chain)
        print(f"cluster {cluster}: {len(chain)} manifests, the last is {chain[0]}")
        print(f"cluster {cluster}: {len(entries)} removal entries, {gone.get(cluster, 0)} objects removed by rules")
    for digest, path in ((digest, path) for digest, paths in places.items() for path in paths):
        named |= {path, Path(f"{path}.sig"), Path(f"{path}.next")}
        if digest not in proven:
            wrong.append(f"{path}: neither signed with a key of {trusted}, nor named by a manifest that is")
        elif path != Path(bucket, proven[digest]["object"]):
            wrong.append(f"{path}: was written as {proven[digest]['object']}, and was moved or copied here")
    wrong += [f"the manifest {head} is missing, or is not proven" for head in heads if head not in tips]
    wrong += [] if places else [f"{bucket}: there are no manifests"]
    folders = {path.parents[1] for paths in places.values() for path in paths}
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file() and path not in named):
        print(f"{path}: named by no manifest")
    print(*wrong, f"{len(wrong)} findings", sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument not in {"--head", "--last"}]
    if len(given) < 2 or not Path(given[0]).is_file() or not Path(given[1]).is_dir():
        sys.exit(f"{__doc__}\nGive the file of public keys and the folder of a bucket, both of which must be there.")
    sys.exit(main(*given))
