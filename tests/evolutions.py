"""Changes of one field `f` between two versions, of each kind, with values of both and what they become."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

from consumers_world import A, B, field, logical

from consumers.consume import Consumer, Refusal, project
from consumers.facts import read_fact
from consumers.warehouse.port import Warehouse
from schemas.catalog.entity import Catalog, Entity
from schemas.evolution.rules import Category
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry, make_schema
from schemas.sources.csv import CsvSource, Mode
from schemas.sources.dynamodb import DynamoDbSource

STAMP = datetime(2024, 2, 29, 12, 30, 1, 123_000, tzinfo=UTC)


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return logical("decimal", "bytes", precision=precision, scale=scale)


def enum(*symbols: str) -> dict[str, Any]:
    return {"type": "enum", "name": "State", "symbols": list(symbols)}


class Step(NamedTuple):
    """`old` and `new`: the field's specification, None where the version has not got it. `onto`: what a value
    of the older version is in the newer one's table."""

    name: str
    category: Category
    rules: tuple[str, ...]
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    old_values: Sequence[object]
    new_values: Sequence[object]
    onto: Callable[[Any], object] = lambda value: value
    absent: object = None
    """Of a row whose version has not got the field."""

    def entities(self) -> tuple[Entity, Entity]:
        """The entity before the change and after it. `note` stands behind the field."""
        fields = [[field("id", "string"), *([spec] if spec else []), NOTE] for spec in (self.old, self.new)]
        schemas = [
            make_schema("thing", version, ["id"], {"type": "record", "name": "Thing", "fields": each})
            for version, each in enumerate(fields, 1)
        ]
        sources = DynamoDbSource(A, "a"), CsvSource(B, "b", Mode.SNAPSHOT)
        before = Entity("thing", ("id",), sources, schemas[0])
        return before, Entity("thing", ("id",), sources, schemas[1], older=(schemas[0],))


NOTE = field("note", ["null", "string"], default=None)


def f(kind: Any, name: str = "f", **more: Any) -> dict[str, Any]:
    return field(name, kind, **more)


def casts(*kinds: str) -> dict[str, Any]:
    return {"headwater.casts": list(kinds)}


def private(level: str) -> dict[str, Any]:
    return {"headwater.private": level}


ADDITIVE, WIDENING, REBUILD = Category.ADDITIVE, Category.WIDENING, Category.REBUILD

STEPS = (
    Step("added, null", ADDITIVE, ("field added",), None, f(["null", "int"], default=None), (), (None, 5)),
    Step(
        "added, with a default",
        ADDITIVE,
        ("field added",),
        None,
        f(decimal(9, 2), default="\x00\xfa"),
        (),
        (Decimal("1.00"), Decimal("2.50")),
        absent=Decimal("2.50"),
    ),
    Step(
        "added, a default of text",
        ADDITIVE,
        ("field added",),
        None,
        f("string", default="it's 5 %"),
        (),
        ("", "x"),
        absent="it's 5 %",
    ),
    Step("retired", ADDITIVE, ("field retired",), f("int"), None, (1, 2), ()),
    Step(
        "retired, with a default",
        ADDITIVE,
        ("field retired",),
        f("string", default="none"),
        None,
        ("a", "none"),
        (),
        absent="none",
    ),
    Step(
        "renamed",
        ADDITIVE,
        ("field renamed",),
        f("int"),
        f("int", "g", aliases=["f"]),
        (1, 2),
        (2, 3),
    ),
    Step(
        "null allowed",
        ADDITIVE,
        ("null allowed", "default added"),
        f("int"),
        f(["null", "int"], default=None),
        (1,),
        (None, 2),
    ),
    Step(
        "symbol added",
        ADDITIVE,
        ("symbol added",),
        f(enum("a", "b")),
        f(enum("c", "b", "a")),
        ("a", "b"),
        ("a", "c"),
    ),
    Step("int to long", WIDENING, ("int to long",), f("int"), f("long"), (-(2**31), 5), (2**63 - 1, 5)),
    Step("float to double", WIDENING, ("float to double",), f("float"), f("double"), (0.5, -2.25), (0.1,)),
    Step(
        "longer",
        WIDENING,
        ("longer",),
        f("string", maxLength=3),
        f("string", maxLength=5),
        ("abc", ""),
        ("abcde",),
    ),
    Step("no length", WIDENING, ("longer",), f("string", maxLength=3), f("string"), ("é €",), ("x" * 5_000,)),
    Step(
        "more digits",
        WIDENING,
        ("more digits",),
        f(decimal(5, 2)),
        f(decimal(38, 2)),
        (Decimal("999.99"),),
        (Decimal("9" * 36 + ".01"),),
    ),
    Step(
        "enum to string",
        WIDENING,
        ("enum to string",),
        f(enum("a", "b")),
        f("string", maxLength=10),
        ("a",),
        ("else",),
    ),
    Step("int to double", REBUILD, ("exact number",), f("int"), f("double"), (2**31 - 1,), (0.5,), float),
    Step(
        "long to decimal",
        REBUILD,
        ("exact number",),
        f("long"),
        f(decimal(21, 2)),
        (2**63 - 1,),
        (Decimal("0.50"),),
        lambda value: Decimal(f"{value}.00"),
    ),
    Step(
        "finer scale",
        REBUILD,
        ("finer scale",),
        f(decimal(5, 2)),
        f(decimal(7, 4)),
        (Decimal("-1.50"),),
        (Decimal("1.5001"),),
        lambda value: Decimal(f"{value}00"),
    ),
    Step(
        "finer time",
        REBUILD,
        ("finer time",),
        f(logical("timestamp-millis", "long")),
        f(logical("timestamp-micros", "long")),
        (STAMP,),
        (STAMP.replace(microsecond=123_456),),
    ),
    Step(
        "a number that becomes text",
        REBUILD,
        ("mapping changed", "declared cast"),
        f("long"),
        f("string", **casts("long")),
        (-5, 2_475_512),
        ("2475512", "x"),
        str,
    ),
    Step(
        "a date that becomes a moment",
        REBUILD,
        ("mapping changed", "declared cast"),
        f(logical("date", "int")),
        f(logical("local-timestamp-micros", "long"), **casts("date")),
        (date(2024, 2, 29),),
        (datetime(2024, 2, 29, 1),),  # noqa: DTZ001
        lambda value: datetime.combine(value, time()),
    ),
    Step(
        "masked",
        REBUILD,
        ("made private",),
        f("string"),
        f("string", **private("mask")),
        ("ada@example.org", "07700 900123"),
        ("***", "*****@example.org"),
        {"ada@example.org": "***@example.org", "07700 900123": "*****"}.get,
    ),
    Step(
        "hashed",
        REBUILD,
        ("made private",),
        f(["null", "string"], default=None),
        f(["null", "string"], default=None, **private("hash")),
        ("ada",),
        ("k1:00",),
        lambda _: None,
    ),
    Step("dropped", REBUILD, ("made private",), f("string"), f("string", **private("drop")), ("ada",), ()),
    Step(
        "masked no more",
        REBUILD,
        ("made less private",),
        f("string", **private("mask")),
        f("string"),
        ("***",),
        ("Ada",),
        lambda _: None,
    ),
)


def catalog(of: Entity) -> Catalog:
    return Catalog({of.name: of}, SchemaRegistry(of.versions))


def consume(warehouse: Warehouse, of: Entity, frames: Sequence[bytes]) -> None:
    """As the live consumer of this version does; nothing is refused."""
    letters = InMemoryLetters()
    Consumer(catalog(of), warehouse, letters).consume(frames)
    assert not letters.letters


def rebuild_into(warehouse: Warehouse, of: Entity, frames: Sequence[bytes], revision: int) -> None:
    """As a rebuild does: into a revision that is not live, and swapped in afterwards."""

    def refuse(refusals: Sequence[Refusal]) -> None:
        raise AssertionError(refusals)

    facts = [read_fact(frame, catalog(of).registry) for frame in frames]
    project(facts, catalog(of), warehouse, refuse, revisions={of.name: revision})
    with warehouse.transaction(exclusive=[of.name]) as transaction:
        transaction.swap(of.name, revision)
