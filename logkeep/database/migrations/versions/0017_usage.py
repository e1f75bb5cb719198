"""What the archive takes by day, requests to object stores, and the size of indexes.

Revision: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage_days",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("raw", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_usage_days_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", "day", name=op.f("pk_usage_days")),
    )
    op.create_index("ix_usage_days_day", "usage_days", ["day"])
    op.create_table(
        "store_requests",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "month", "bucket", "kind", name=op.f("pk_store_requests")),
    )
    op.create_index("ix_store_requests_month", "store_requests", ["month"])
    op.add_column("indexings", sa.Column("objects", sa.BigInteger(), nullable=True))
    op.add_column("indexings", sa.Column("bytes", sa.BigInteger(), nullable=True))
    op.drop_index("ix_segments_totals", "segments")
    op.create_index("ix_segments_totals", "segments", ["cluster_id", "node", "generation", "stored", "lines", "raw"])
