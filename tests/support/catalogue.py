"""What the catalogue knows, read past the functions of the product."""

from __future__ import annotations

from sqlalchemy import Engine, select

from logkeep.database.bodies import decode_body
from logkeep.database.connection import reading
from logkeep.database.tables import segments
from logkeep.domain.manifest import Segment


def all_segments(engine: Engine, cluster_id: str) -> list[Segment]:
    """All segments of a cluster by node, generation and start."""
    c = segments.c
    statement = select(c.body).where(c.cluster_id == cluster_id).order_by(c.node, c.generation, c.start)
    with reading(engine) as connection:
        return [decode_body(body, Segment) for body in connection.execute(statement).scalars()]
