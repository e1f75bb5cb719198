"""A process that takes empty workflows from a queue of DBOS, as fast as it can: what our own jobs cannot be above.

python -m benchmarks.noop DATABASE JOBS_AT_ONCE POLL_SECONDS
"""

from __future__ import annotations

import sys
import threading

from dbos import DBOS, DBOSClient

QUEUE = "bench"
_WORKFLOW = "nothing"
_APP = "bench"


def enqueue(database: str, number: int) -> None:
    """Make the tables, and fill the queue before anybody takes from it."""
    DBOS.migrate(database)
    client = DBOSClient(system_database_url=database, application_name=_APP)
    for index in range(number):
        options = {"queue_name": QUEUE, "workflow_name": _WORKFLOW, "app_version": "1", "application_name": _APP}
        client.enqueue(options, str(index))  # type: ignore[arg-type]
    client.destroy()


def _do_nothing(index: str) -> str:
    return index


def main(database: str, jobs_at_once: str, poll_seconds: str) -> None:
    poll = float(poll_seconds)
    DBOS(
        config={
            "name": _APP,
            "system_database_url": database,
            "application_version": "1",
            "log_level": "ERROR",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": poll,
        }
    )
    DBOS.workflow(name=_WORKFLOW)(_do_nothing)
    DBOS.listen_queues([QUEUE])
    DBOS.launch()
    DBOS.register_queue(
        QUEUE, worker_concurrency=int(jobs_at_once), polling_interval_sec=poll, on_conflict="always_update"
    )
    print("ready", file=sys.stderr, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
