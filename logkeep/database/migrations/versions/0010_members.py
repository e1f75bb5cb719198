"""How clusters are asked for their nodes, and which node is which.

Revision: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clusters", sa.Column("url", sa.String(length=1024), nullable=False, server_default=""))
    op.add_column("clusters", sa.Column("url_user", sa.String(length=255), nullable=False, server_default=""))
    op.add_column("clusters", sa.Column("sealed_password", sa.LargeBinary(), nullable=True))
    op.add_column("clusters", sa.Column("source", sa.Text(), nullable=False, server_default=""))
    op.add_column("nodes", sa.Column("instance", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("nodes", sa.Column("gone_at", sa.BigInteger(), nullable=True))
