"""Deletion of the archive of a removed cluster: how far it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchiveDeletion:
    """What is asked for and done of one archive."""

    cluster_id: str
    project_id: str
    name: str  # of the cluster
    agency: str  # with whose credentials; '' for the service's own
    asked_at: int  # Unix ms
    asked_by: str
    next_try: int = 0  # Unix ms
    objects: int = 0  # deleted so far
    stored: int = 0  # bytes of them
    waiting: int = 0  # objects that the bucket kept at the last try
    reason: str = ""  # why, or why nothing could be tried; '' for none
    finished_at: int | None = None  # Unix ms
