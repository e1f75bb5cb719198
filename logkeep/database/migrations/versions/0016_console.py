"""Sessions of the console, and links that sign in once.

Revision: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_sessions",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("ak", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_console_sessions")),
    )
    op.create_index("ix_console_sessions_seen_at", "console_sessions", ["seen_at"])
    op.create_index("ix_console_sessions_owner", "console_sessions", ["user_id", "ak", "created_at"])
    op.create_table(
        "console_links",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("ak", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_console_links")),
    )
    op.create_index(op.f("ix_console_links_ak"), "console_links", ["ak"])
    op.create_index(op.f("ix_console_links_expires_at"), "console_links", ["expires_at"])
