"""For whom a temporary key was issued, so that it ends with them.

Revision: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("access_keys", sa.Column("issuer", sa.String(length=64), nullable=True))
    op.create_index("ix_access_keys_issuer", "access_keys", ["issuer", "expires_at"])
