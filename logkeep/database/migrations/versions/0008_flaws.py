"""What is wrong with the compressed file that a generation was read from.

Revision: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("generations", sa.Column("flaw", sa.String(length=16), nullable=False, server_default=""))
