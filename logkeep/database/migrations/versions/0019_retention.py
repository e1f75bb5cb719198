"""Rules of retention, what they removed, and when and of which span each segment is.

Revision: 0019
"""

from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("generations", sa.Column("removed", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("segments", sa.Column("created_at", sa.BigInteger(), nullable=True))
    op.add_column("segments", sa.Column("first_time", sa.String(length=64), server_default="", nullable=False))
    op.add_column("segments", sa.Column("last_time", sa.String(length=64), server_default="", nullable=False))
    _fill()
    op.create_table(
        "retention_rules",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("keep_days", sa.Integer(), nullable=False),
        sa.Column("keep_bytes", sa.BigInteger(), nullable=False),
        sa.Column("keep_jobs", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.String(length=128), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_retention_rules_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", "log", name=op.f("pk_retention_rules")),
    )
    op.create_table(
        "retentions",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ran_at", sa.BigInteger(), nullable=True),
        sa.Column("look_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_retentions_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", name=op.f("pk_retentions")),
    )
    op.create_index("ix_retentions_look", "retentions", ["look_at"])
    op.create_index("ix_retentions_ran", "retentions", ["ran_at"])
    op.create_table(
        "protections",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("span_from", sa.String(length=64), nullable=False),
        sa.Column("span_until", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_protections_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_protections")),
    )
    op.create_index("ix_protections_cluster_id", "protections", ["cluster_id"])
    op.create_table(
        "removal_entries",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.String(length=255), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("stored_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_removal_entries_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", "number", name=op.f("pk_removal_entries")),
    )
    op.create_table(
        "removals",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.Column("first_time", sa.String(length=64), nullable=False),
        sa.Column("last_time", sa.String(length=64), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_removals_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removals")),
    )
    op.create_index("ix_removals_node", "removals", ["cluster_id", "node", "id"])
    op.create_table(
        "removed_objects",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("bucket", sa.String(length=255), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_removed_objects_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", "bucket", "object", name=op.f("pk_removed_objects")),
    )
    op.create_index("ix_removed_objects_next", "removed_objects", ["cluster_id", "next_try"])
    op.create_table(
        "removed_of_jobs",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_removed_of_jobs_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_removed_of_jobs")),
    )
    op.create_index("ix_removed_of_jobs_cluster_id", "removed_of_jobs", ["cluster_id"])
    op.create_table(
        "archive_deletions",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(length=128), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_try", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("stored", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("waiting", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("cluster_id", name=op.f("pk_archive_deletions")),
    )
    op.create_table(
        "deleted_places",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"],
            ["archive_deletions.cluster_id"],
            name=op.f("fk_deleted_places_cluster_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cluster_id", "bucket", "folder", name=op.f("pk_deleted_places")),
    )
    op.create_index("ix_deleted_places_folded", "deleted_places", ["bucket", "folded"])
    op.create_table(
        "deleted_jobs",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"],
            ["archive_deletions.cluster_id"],
            name=op.f("fk_deleted_jobs_cluster_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cluster_id", "job_id", name=op.f("pk_deleted_jobs")),
    )


_FILL_CREATED = """
UPDATE segments SET created_at = COALESCE(
    (SELECT j.created_at FROM jobs j WHERE j.job_id = segments.job_id),
    (SELECT j.created_at FROM jobs j WHERE j.job_id = segments.manifest_job_id))
"""


class _Frame(msgspec.Struct):
    first_time: str = ""
    last_time: str = ""


class _Segment(msgspec.Struct):
    frames: list[_Frame]


def _fill() -> None:
    """What the new columns say of old rows."""
    op.execute(sa.text(_FILL_CREATED))
    connection = op.get_bind()
    some = sa.text(
        "SELECT cluster_id, node, generation, start, body FROM segments"
        " WHERE (cluster_id, node, generation, start) > (:c, :n, :g, :s)"
        " ORDER BY cluster_id, node, generation, start LIMIT 1000"
    )
    save = sa.text(
        "UPDATE segments SET first_time = :first_time, last_time = :last_time"
        " WHERE cluster_id = :c AND node = :n AND generation = :g AND start = :s"
    )
    after = {"c": "", "n": "", "g": 0, "s": 0}
    while rows := connection.execute(some, after).all():
        changes = [{"c": r[0], "n": r[1], "g": r[2], "s": r[3]} | _times(r.body) for r in rows]
        connection.execute(save, changes)
        after = {name: changes[-1][name] for name in after}


def _times(body: bytes) -> dict[str, str]:
    frames = msgspec.msgpack.decode(body, type=_Segment).frames
    if not frames or not all(frame.first_time and frame.last_time for frame in frames):
        return {"first_time": "", "last_time": ""}
    return {
        "first_time": min((frame.first_time for frame in frames), key=_instant),
        "last_time": max((frame.last_time for frame in frames), key=_instant),
    }


def _instant(time: str) -> float:
    moment = datetime.fromisoformat(time)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def downgrade() -> None:
    raise NotImplementedError("Logkeep goes forward only; restore the database from its copy")
