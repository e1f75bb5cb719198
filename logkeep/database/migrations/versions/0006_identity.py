"""What tells one generation from another.

Revision: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("generations", sa.Column("lead", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("generations", sa.Column("checked", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("generations", sa.Column("start", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("generations", sa.Column("retired", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_generations_retired",
        "generations",
        ["cluster_id", "node", "retired", "lead", "family", "head_length", "head_sha256", "generation"],
    )
