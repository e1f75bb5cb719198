"""What an installation of several machines needs.

Revision: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("agency", sa.String(length=64), nullable=False, server_default=""))
    _plan_policies()
    _create_workers()
    running = sa.text("status = 'RUNNING'")
    op.create_index(
        "ix_jobs_running", "jobs", ["job_id", "cluster_id", "attempt"], sqlite_where=running, postgresql_where=running
    )


def _plan_policies() -> None:
    """The next start of each policy instead of the last moment that was served."""
    for name in ("policy_since", "due_at", "missed_at"):
        op.add_column("log_settings", sa.Column(name, sa.BigInteger(), nullable=True))
    op.execute(
        sa.text(
            "UPDATE log_settings SET policy_since = updated_at, due_at = last_due + 86400000"
            " WHERE enabled AND period IS NOT NULL"
        )
    )
    op.execute(sa.text("UPDATE log_settings SET extra_due = NULL WHERE NOT adaptive"))
    op.drop_column("log_settings", "last_due")
    op.create_index("ix_log_settings_due", "log_settings", ["due_at"], unique=False)
    op.create_index("ix_log_settings_extra", "log_settings", ["extra_due"], unique=False)
    op.add_column("job_counts", sa.Column("last_at", sa.BigInteger(), nullable=True))
    op.execute(
        sa.text(
            "UPDATE job_counts SET last_at = (SELECT MAX(finished_at) FROM jobs"
            " WHERE jobs.cluster_id = job_counts.cluster_id AND jobs.status = job_counts.status)"
        )
    )


def _create_workers() -> None:
    op.drop_table("heartbeats")
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("queue_version", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.String(length=32), nullable=False),
        sa.Column("jobs_at_once", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
