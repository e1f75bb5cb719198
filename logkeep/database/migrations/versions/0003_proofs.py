"""What proofs need: progress by node, verification, records in manifests, coverage, and policies that adapt.

Revision: 0003
"""

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
    op.create_index("ix_segments_job", "segments", ["job_id"], unique=False)
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
        "verifications",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("objects_read", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_verifications_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", name=op.f("pk_verifications")),
    )


def downgrade() -> None:
    raise NotImplementedError("Logkeep goes forward only; restore the database from its copy")
