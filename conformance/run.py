"""Runs the official SDKs for Python, Java and Go against a fresh `logkeep serve`, and says what each of them got."""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from clients import CLIENTS, Client, install_tools
from service import Broken, Installation, Tenant, environment, installed, run_bounded
from table import PAGE, SAMPLE, Result, Results, is_on_page, write_page

CLIENT_SECONDS = 180


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/compatibility.md")
    parser.add_argument("--details", action="store_true", help="print what the clients printed too")
    asked = parser.parse_args()
    started = time.monotonic()
    try:
        results = _carry_out(details=asked.details)
    except Broken as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 1
    results.show()
    failures = results.failures()
    if asked.write and not failures:
        write_page(results.markdown())
    if not failures and not is_on_page(results.markdown()):
        failures = [f"the table of {PAGE.name} is not this one; write it with `make conformance WRITE=1`"]
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(CLIENTS)} clients in {time.monotonic() - started:.0f} s; {len(failures)} failed")
    return 1 if failures else 0


def _carry_out(*, details: bool) -> Results:
    """Build all clients, then let them work on one service at the same time, each on its own cluster."""
    install_tools()
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        for _ in pool.map(Client.build, CLIENTS):
            pass
        with installed() as installation:
            tenants = [installation.add_tenant(f"on-{client.name}") for client in CLIENTS]
            told = list(pool.map(lambda both: _run(installation, *both), zip(CLIENTS, tenants, strict=True)))
            results = [result for of_client in told for result in of_client]
            if not all(result.ok for result in results):
                print(f"the service said:\n{installation.said()}", file=sys.stderr)
    if details:
        for result in results:
            print(json.dumps(vars(result), ensure_ascii=False))
    return Results(results)


def _run(installation: Installation, client: Client, tenant: Tenant) -> list[Result]:
    """The lifecycle first: what it leaves behind is what the sample has to list."""
    results = _read(client, *_call(client.lifecycle, installation, tenant))
    listed, said = _call(client.sample, installation, tenant)
    ids = installation.job_ids(tenant)
    ok = bool(ids) and all(job_id in listed for job_id in ids)
    return [
        *results,
        Result(client.name, results[-1].version, SAMPLE, ok, " ".join(f"{listed} {'' if ok else said}".split())),
    ]


def _read(client: Client, told: str, said: str) -> list[Result]:
    try:
        results = [Result(**json.loads(line)) for line in told.splitlines() if line.strip()]
    except (ValueError, TypeError) as error:
        raise Broken(f"the client for {client.title} printed what is no result: {error}\n{told}\n{said}") from error
    if not results:
        raise Broken(f"the client for {client.title} printed nothing:\n{said}")
    return results


def _call(words: tuple[str, ...], installation: Installation, tenant: Tenant) -> tuple[str, str]:
    """What a program printed. Its exit code says no more than its lines: what is missing among them is not ok."""
    env = environment(
        HOME=str(installation.home),
        HUAWEICLOUD_SDK_REGION_CSS_CN_NORTH_4=installation.endpoint,
        HUAWEICLOUD_SDK_IAM_ENDPOINT=installation.endpoint,
        CLOUD_SDK_AK=tenant.ak,
        CLOUD_SDK_SK=tenant.sk,
        CONFORMANCE_PROJECT_ID=tenant.project_id,
        CONFORMANCE_CLUSTER_ID=tenant.cluster_id,
    )
    done = run_bounded(words, CLIENT_SECONDS, env)
    return done.stdout, done.stderr[-2000:]


if __name__ == "__main__":
    sys.exit(main())
