"""Which segments an index tells of, and who is making one.

Revision: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("segments", sa.Column("indexed", sa.SmallInteger(), server_default="0", nullable=False))
    due = sa.text("indexed = 0")
    op.create_index("ix_segments_unindexed", "segments", ["cluster_id", "node"], sqlite_where=due, postgresql_where=due)
    op.create_table(
        "indexings",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=False),
        sa.Column("look_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_indexings_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", name=op.f("pk_indexings")),
    )
