"""Notices: what was told, to whom, and what is not over.

Revision: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notice_states",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("seen_by", sa.String(length=32), nullable=False, server_default=""),
        sa.Column("marks", sa.Text(), nullable=False, server_default=""),
        sa.Column("over_since", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_notice_states_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", "state", name=op.f("pk_notice_states")),
    )
    op.create_table(
        "notice_buckets",
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("bucket", sa.String(length=255), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("over_since", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_notice_buckets_project_id")),
        sa.PrimaryKeyConstraint("project_id", "bucket", "agency", name=op.f("pk_notice_buckets")),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("cluster", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index("ix_notices_at", "notices", ["at"])
    op.create_index("ix_notices_cluster", "notices", ["cluster_id", "at", "id"])
    op.create_index("ix_notices_page", "notices", ["project_id", "at", "id"])
    op.create_table(
        "notice_deliveries",
        sa.Column("notice_id", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=97), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notices.id"], name=op.f("fk_notice_deliveries_notice_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("notice_id", "target", name=op.f("pk_notice_deliveries")),
    )
    op.create_index("ix_notice_deliveries_message", "notice_deliveries", ["target", "message_id"])
    op.create_index(
        "ix_notice_deliveries_waiting",
        "notice_deliveries",
        ["target", "created_at", "notice_id"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "notice_targets",
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.String(length=300), nullable=False),
        sa.Column("clusters", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("quiet", sa.String(length=16), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_notice_targets_project_id")),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_notice_targets")),
    )
    op.create_table(
        "notice_target_states",
        sa.Column("target", sa.String(length=97), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("paused_until", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("ping_due", sa.BigInteger(), nullable=True),
        sa.Column("ping_mark", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_notice_target_states")),
    )
