"""Daily runs that were missed; and the records of a cluster by who started them.

Revision: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "missed_runs",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_missed_runs_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", "due_at", name=op.f("pk_missed_runs")),
    )
    op.create_index("ix_missed_runs_due", "missed_runs", ["due_at"])
    op.create_index("ix_jobs_type", "jobs", ["cluster_id", "type", "status", "created_at", "id"])
