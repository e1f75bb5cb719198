"""Checks an archive of Logkeep without Logkeep: python verify_chain.py sign.pub BUCKET_FOLDER [--last SHA256]

It needs Python 3.11 and the package `cryptography`. docs/backup-format.md tells what it relies on. Exit code 1 if
anything is wrong. What was cut off at the end of a chain shows only against --last, a hash that was noted before.
"""

import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main(trusted: str, bucket: str, last: str = "") -> int:
    blocks = Path(trusted).read_bytes().split(b"-----BEGIN ")[1:]
    keys = {key.public_bytes_raw().hex(): key for key in (load_pem_public_key(b"-----BEGIN " + b) for b in blocks)}
    wrong, chains, named = [], {}, set()
    # Within one job a longer name is that of a later attempt.
    for path in sorted(Path(bucket).rglob("_manifests/*.json"), key=lambda path: (len(path.name), path.name)):
        manifest, digest = json.loads(path.read_bytes()), sha256(path.read_bytes())
        named |= {path, Path(f"{path}.sig")}
        by_previous = chains.setdefault(manifest["cluster_id"], {})
        by_previous.setdefault(manifest["previous"], []).append((path, manifest, digest))
    for cluster, by_previous in chains.items():
        count, head, tips, signed = sum(map(len, by_previous.values())), "", set(), False
        while following := by_previous.get(head):
            # Of several attempts of one job, the one that was gone on from counts; at the end the last of them.
            path, manifest, head = next((m for m in following if m[2] in by_previous), following[-1])
            count -= len(following)
            if len({m["job"]["job_id"] for _, m, _ in following}) > 1:
                wrong.append(f"{path}: another manifest follows the same one")
            tips.add(head)
            signed = signed or bool(manifest.get("key"))
            try:
                if signed:
                    keys[manifest["key"]].verify(Path(f"{path}.sig").read_bytes(), path.read_bytes())
            except (KeyError, OSError, InvalidSignature):
                wrong.append(f"{path}: not signed with a key of {trusted}")
            for segment in manifest["segments"]:
                thing = Path(bucket, segment["object"])
                named.add(thing)
                if not thing.is_file() or sha256(thing.read_bytes()) != segment["sha256"]:
                    wrong.append(f"{thing}: missing or changed, job {manifest['job']['job_id']}")
        if count:
            wrong.append(f"cluster {cluster}: {count} manifests do not hang together with the first one")
        if last and last not in tips and len(chains) == 1:
            wrong.append(f"cluster {cluster}: the manifest {last} is missing")
        print(f"cluster {cluster}: {len(tips)} manifests, the last is {head}")
    folders = {path.parents[1] for path in named if path.parent.name == "_manifests"}
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file() and path not in named):
        print(f"{path}: named by no manifest")
    print(*wrong, f"{len(wrong)} findings", sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*(argument for argument in sys.argv[1:] if argument != "--last")))
