"""The ids of buckets, by which it is known that a bucket is the one that was used before."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, Select, select

from logkeep.database.connection import reading, upsert, writing
from logkeep.database.tables import buckets


@dataclass(frozen=True, slots=True)
class BucketMemory:
    """What is remembered of the bucket of one name."""

    engine: Engine
    name: str

    def recall(self) -> str | None:
        """Return the id, None for a bucket that was never used."""
        with reading(self.engine) as connection:
            return connection.execute(_select_id(self.name)).scalar()

    def remember(self, bucket_id: str) -> str:
        """Keep the id unless there is one; return the one that is kept."""
        with writing(self.engine) as connection:
            insert = upsert(connection.dialect)(buckets).values(name=self.name, id=bucket_id)
            connection.execute(insert.on_conflict_do_nothing())
            return connection.execute(_select_id(self.name)).scalar_one()

    def change(self, bucket_id: str) -> None:
        """Replace the id."""
        with writing(self.engine) as connection:
            insert = upsert(connection.dialect)(buckets).values(name=self.name, id=bucket_id)
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"id": bucket_id}))


def _select_id(name: str) -> Select[str]:
    return select(buckets.c.id).where(buckets.c.name == name)
