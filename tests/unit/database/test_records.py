"""Rows become records and records rows, by the names of columns and fields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select

from logkeep.database.records import read_row, read_rows, reader, values


class Colour(StrEnum):
    RED = "red"
    NONE = ""


@dataclass(frozen=True, kw_only=True)
class Size:
    width: int
    unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class Box:
    colour: Colour
    name: str
    size: Size
    owner: str | None = None
    parts: tuple[str, ...] = ()


BOXES = Table(
    "boxes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("size_unit", String, nullable=False),
    Column("size_width", Integer),
    Column("owner", String),
    Column("name", String),
    Column("colour", String),
)
BOX = Box(colour=Colour.RED, name="", size=Size(width=3), owner="o")


def test_record_is_read_as_it_was_written() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        BOXES.create(connection)
        connection.execute(BOXES.insert().values(id=7, **values(BOXES, BOX)))
        rows = connection.execute(select(BOXES)).all()
        assert [read_row(Box, row) for row in rows] == list(read_rows(Box, connection.execute(select(BOXES)))) == [BOX]
    engine.dispose()


def test_columns_are_found_by_name_in_any_order() -> None:
    assert values(BOXES, BOX) == {"colour": "red", "name": "", "size_width": 3, "size_unit": "", "owner": "o"}


@pytest.mark.parametrize("owner", ["", None])
def test_text_that_is_missing_is_none(owner: str | None) -> None:
    read = reader(Box, ("owner", "colour", "name", "size_width"))
    assert read((owner, "", "n", 1)) == Box(colour=Colour.NONE, name="n", size=Size(width=1))


def test_field_that_needs_a_column_is_not_left_out() -> None:
    with pytest.raises(TypeError, match="name"):
        reader(Box, ("owner", "colour", "size_width"))(("o", "red", 1))
