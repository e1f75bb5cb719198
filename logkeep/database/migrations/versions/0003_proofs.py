"""What proofs need: progress by node, verification, records in manifests, coverage, and policies that adapt.

Revision: 0003
"""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("log_settings", sa.Column("adaptive", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("log_settings", sa.Column("extra_due", sa.BigInteger(), nullable=True))
    op.add_column("log_settings", sa.Column("failures_cleared_at", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("manifest_job_id", sa.String(length=32), nullable=True))
    op.create_index("ix_jobs_manifest", "jobs", ["cluster_id", "manifest_job_id"], unique=False)
    op.execute(sa.text("UPDATE jobs SET manifest_job_id = job_id WHERE job_id IN (SELECT job_id FROM manifests)"))
    op.add_column("generations", sa.Column("first_time", sa.String(length=64), server_default="", nullable=False))
    op.add_column("generations", sa.Column("joined", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("nodes", sa.Column("unread", sa.LargeBinary(), nullable=True))
    op.add_column("segments", sa.Column("read_at", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("segments", sa.Column("raw", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("segments", sa.Column("lines", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("findings", sa.Column("cluster_id", sa.String(length=36), nullable=True))
    _fill()
    job_columns = ["job_id", "node", "generation", "start", "raw", "stored", "lines"]
    op.create_index("ix_segments_job", "segments", job_columns, unique=False)
    total_columns = ["cluster_id", "node", "generation", "stored", "lines"]
    op.create_index("ix_segments_totals", "segments", total_columns, unique=False)
    op.create_index("ix_findings_gaps", "findings", ["cluster_id", "kind", "node"], unique=False)
    op.create_index("ix_segments_object", "segments", ["cluster_id", "object"], unique=False)
    op.create_index("ix_segments_read", "segments", ["cluster_id", "read_at"], unique=False)
    op.create_table(
        "job_nodes",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("planned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name=op.f("fk_job_nodes_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "node", name=op.f("pk_job_nodes")),
    )
    op.create_table(
        "forecasts",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("margin", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_forecasts_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", "node", "family", name=op.f("pk_forecasts")),
    )
    op.create_table(
        "heartbeats",
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "buckets",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_buckets")),
    )
    op.create_table(
        "verifications",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("objects_read", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_verifications_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", name=op.f("pk_verifications")),
    )


_FILL_RAW = """
UPDATE segments SET raw = COALESCE(
    (SELECT MIN(f.start) FROM segments f WHERE f.cluster_id = segments.cluster_id AND f.node = segments.node
        AND f.generation = segments.generation AND f.start > segments.start),
    (SELECT g.kept FROM generations g WHERE g.cluster_id = segments.cluster_id AND g.node = segments.node
        AND g.generation = segments.generation),
    start) - start
"""


class _Frame(msgspec.Struct):
    first_time: str = ""


class _Segment(msgspec.Struct):
    frames: list[_Frame]


def _fill() -> None:
    """What the new columns say of old rows."""
    op.execute(
        sa.text("UPDATE findings SET cluster_id = (SELECT cluster_id FROM jobs WHERE jobs.job_id = findings.job_id)")
    )
    op.execute(sa.text(_FILL_RAW))
    connection = op.get_bind()
    first = sa.text("SELECT cluster_id, node, generation, body FROM segments WHERE start = 0")
    save = sa.text(
        "UPDATE generations SET first_time = :first_time"
        " WHERE cluster_id = :cluster_id AND node = :node AND generation = :generation"
    )
    for rows in connection.execute(first, execution_options={"yield_per": 1000}).partitions():
        changes = [
            {"cluster_id": r.cluster_id, "node": r.node, "generation": r.generation, "first_time": _first_time(r.body)}
            for r in rows
        ]
        connection.execute(save, changes)


def _first_time(body: bytes) -> str:
    times = [frame.first_time for frame in msgspec.msgpack.decode(body, type=_Segment).frames]
    return min((time for time in times if time), default="")


def downgrade() -> None:
    raise NotImplementedError("Logkeep goes forward only; restore the database from its copy")
