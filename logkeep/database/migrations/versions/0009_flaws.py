"""What is wrong with the compressed file that a generation was read from.

Revision: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("generations", sa.Column("flaw", sa.String(length=16), nullable=False, server_default=""))
