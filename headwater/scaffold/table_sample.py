"""A sample of the attributes of a DynamoDB table from some of its items, read with a Scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from headwater.scaffold.likely_private import LookedAt, Suspicion, by_name
from headwater.scaffold.proposal import ColumnSample, field_name
from headwater.scaffold.text_sample import TextSample
from producers.texts import reader
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError
from schemas.payload.fields import Field, FieldType, plain_digits

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DIGITS = 38  # precision of a number in DynamoDB
_MEMBERS = 100_000  # nested values that are examined for each attribute
_PAGE = 1_000  # items; DynamoDB ends a page at 1 MB as well
_KINDS = {"BOOL": FieldType.BOOLEAN, "B": FieldType.BYTES}


@dataclass(frozen=True, slots=True)
class TableSample:
    """A sample of the attributes of a table.

    `key` is the table's own, with the hash attribute first. `items` is the number of items read. `whole` is
    True if the table has no others.
    """

    columns: Sequence[ColumnSample]
    key: Sequence[str]
    items: int
    whole: bool


def sample_table(dynamodb: DynamoDBClient, table: str, limit: int) -> TableSample:
    """Read at most `limit` items. Raises ConfigurationError for a table that does not exist or is empty."""
    key = _key_of(dynamodb, table)
    attributes: dict[str, _Attribute] = {name: _Attribute() for name in key}
    items, more = 0, False  # one item more than the limit is requested, to know whether there are more
    for item in _scan(dynamodb, table, limit + 1):
        if items == limit:
            more = True
            break
        items += 1
        for name, typed in item.items():
            attributes.setdefault(name, _Attribute()).add(typed)
    if not items:
        raise ConfigurationError(f"table {table}: found 0 items; allowed: at least one to see what it holds")
    columns = [attribute.column(name, items, name in key) for name, attribute in attributes.items()]
    return TableSample(columns, key, items, not more)


def _key_of(dynamodb: DynamoDBClient, table: str) -> list[str]:
    with aws_errors(f"DescribeTable of {table}"):
        try:
            schema = dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
        except dynamodb.exceptions.ResourceNotFoundException:
            raise ConfigurationError(
                f"table {table}: there is no such table in this account and region"
            ) from None
    # Sorted by KeyType: "HASH" comes before "RANGE".
    return [element["AttributeName"] for element in sorted(schema, key=lambda element: element["KeyType"])]


def _scan(dynamodb: DynamoDBClient, table: str, limit: int) -> Iterator[Mapping[str, Any]]:
    with aws_errors(f"Scan of {table}"):
        pages = dynamodb.get_paginator("scan").paginate(
            TableName=table, PaginationConfig={"MaxItems": limit, "PageSize": min(limit, _PAGE)}
        )
        for page in pages:
            yield from page["Items"]


@dataclass(slots=True)
class Nested:
    """Statistics on the names and texts within maps, lists and sets."""

    names: set[str] = field(default_factory=set)
    looked_at: LookedAt = field(default_factory=LookedAt)
    left: int = _MEMBERS

    def add(self, kind: str, value: Any) -> None:
        """Add the value of an attribute, as long as the limit of nested values is not reached."""
        waiting = [(kind, value)]
        while waiting and self.left > 0:
            kind, value = waiting.pop()
            self.left -= 1
            if kind == "M":
                self.names |= {field_name(name) for name in value}
                waiting += [pair for typed in value.values() for pair in typed.items()]
            elif kind == "L":
                waiting += [pair for typed in value for pair in typed.items()]
            elif kind in ("S", "SS"):
                for text in [value] if kind == "S" else value:
                    self.looked_at.add_alone(text)

    def suspicions(self) -> list[tuple[Suspicion, str]]:
        """Return the suspicions by names and by texts, each once, the weakest first."""
        suspicions = {*map(by_name, self.names), *self.looked_at.each()}
        return sorted(suspicion for suspicion in suspicions if suspicion[0] is not Suspicion.NONE)


@dataclass(slots=True)
class _Attribute:
    """Statistics on one attribute: its types, and the texts of strings and numbers."""

    types: set[str] = field(default_factory=set)
    seen: int = 0
    texts: TextSample = field(default_factory=lambda: TextSample(_reading, numbers=False))
    digits: TextSample = field(default_factory=lambda: TextSample(None))
    looked_at: LookedAt = field(default_factory=LookedAt)
    nested: Nested = field(default_factory=lambda: Nested())

    def add(self, typed: Mapping[str, Any]) -> None:
        ((kind, value),) = typed.items()
        if kind == "NULL":
            return
        self.seen += 1
        self.types.add(kind)
        if kind == "S":
            self.texts.add(value)
            self.looked_at.add(value)
        elif kind == "N":
            self.digits.add(plain_digits(Decimal(value)))
        else:
            self.nested.add(kind, value)

    def column(self, name: str, items: int, in_key: bool) -> ColumnSample:
        kind, review = self._key_kind() if in_key else self._kind()
        return ColumnSample(
            source_name=name,
            texts=self.texts,
            known=kind,
            known_review=review,
            nulls=items - self.seen,
            digits=self.digits,
            looked_at=self.looked_at,
            within=self.nested.suspicions(),
        )

    def _kind(self) -> tuple[Field, str]:
        if self.types <= {"S"}:
            return self.texts.kind()
        if self.types == {"N"} and self.digits.is_number:
            return self.digits.kind()
        if len(self.types) == 1:
            return Field("f", _KINDS.get(min(self.types), FieldType.JSON)), ""
        return Field("f", FieldType.JSON), f"values of several types: {', '.join(sorted(self.types))}"

    def _key_kind(self) -> tuple[Field, str]:
        """Return the kind of an attribute of the table's key."""
        # Text remains text: two texts of the same moment are the keys of two items.
        if self.types == {"S"}:
            return self.texts.string()
        kind, review = self._kind()
        if self.types == {"N"} and kind.kind is FieldType.JSON:  # a number that no int or long holds
            return Field("f", FieldType.DECIMAL, precision=_DIGITS), "whole numbers of up to 38 digits"
        return kind, review


def _reading(field: Field) -> Callable[[str], object]:
    read = reader(field)
    return lambda text: field.pack(read(text))
