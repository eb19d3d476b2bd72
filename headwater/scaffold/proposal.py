"""The proposal of an entity from a sample of its source: fields, key and private fields. Pure.

What a person should check is marked for review. The proposal can be loaded, and the sample can be read with
it. It contains no values of the sample.
"""

import json
import re
import unicodedata
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from headwater.scaffold.candidate_keys import candidate_keys, is_key
from headwater.scaffold.likely_private import LookedAt, Suspicion, by_name
from headwater.scaffold.text_sample import Reading, TextSample
from schemas.errors import ConfigurationError
from schemas.payload.avsc import LOGICAL_TYPES
from schemas.payload.fields import Field, FieldType
from schemas.privacy import DROP
from schemas.refusals import MAX_NAME, unknown

MAX_COLUMNS = 1_024 - 8
"""Limit of a table in SQL Server, less Headwater's own columns."""

_HASH, _MASK = "hash", "mask"
_HASHED_LENGTH = 200  # a hash is longer than what it hides
_KEY_WORDS = {
    "id",
    "key",
    "code",
    "urn",
    "uuid",
    "guid",
    "ref",
    "reference",
    "number",
    "no",
    "num",
    "isbn",
    "sku",
}
_NOT_IN_A_KEY = (FieldType.FLOAT, FieldType.DOUBLE, FieldType.JSON, FieldType.DECIMAL, FieldType.BOOLEAN)
_MOMENT_WORDS = {
    *("at", "on", "time", "timestamp", "ts", "date", "datetime", "epoch", "ttl", "since", "until", "seen"),
    *("created", "updated", "modified", "changed", "deleted", "expires", "expiry", "login"),
}
_LONGEST_KEY = 200  # characters: longer texts are not identifiers


@dataclass(slots=True)
class ColumnSample:
    """A column of a file or an attribute of a table's items. `source_name` is its name in the source."""

    source_name: str
    texts: TextSample
    known: Field | None = None
    """The kind, if the source itself defines it."""
    known_review: str = ""
    nulls: int = 0
    digits: TextSample | None = None
    """Statistics of numbers, for a source that distinguishes them from texts."""
    looked_at: LookedAt = field(default_factory=LookedAt)
    within: Sequence[tuple[Suspicion, str]] = ()
    """Suspicions about nested values."""
    hashes: "array[int]" = field(default_factory=lambda: array("q"))

    @property
    def numbers(self) -> TextSample | None:
        """The statistics to use for numbers, or None if the column has none."""
        return self.texts if self.known is None else self.digits

    def kind(self) -> tuple[Field, str]:
        """Return a field of the likeliest kind, and what a person should check, or ""."""
        return (self.known, self.known_review) if self.known else self.texts.kind()

    def add(self, text: str) -> None:
        """Add the text of one row; an empty one counts as null."""
        if text:
            self.texts.add(text)
            self.looked_at.add(text)
        else:
            self.nulls += 1
        self.add_hash(text)

    def add_hash(self, text: str) -> None:
        """Add the hash by which the rows of the column are distinguished."""
        self.hashes.append(_hash(text))


def text_column(source_name: str, reading: Reading) -> ColumnSample:
    """Return an empty sample of a column of which only texts are known."""
    return ColumnSample(source_name, TextSample(reading))


def _hash(text: str) -> int:
    """Return 64 bits that stand for the text, so that a sample takes 8 bytes for each cell."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), signed=True)


@dataclass(frozen=True, slots=True)
class ProposedField:
    """A field of the proposal.

    `private` is "", "mask", "hash" or "drop". `review` is what a person should check, or "".
    """

    field: Field
    private: str
    review: str

    @property
    def spec(self) -> dict[str, Any]:
        """The field's definition in v1.avsc."""
        field, kind = self.field, _avro_type(self.field)
        spec: dict[str, Any] = {"name": field.name, "type": ["null", kind] if field.nullable else kind}
        if field.nullable:
            spec["default"] = None
        if field.from_names:
            [spec["from"]] = field.from_names.values()
        if field.max_length is not None:
            spec["maxLength"] = field.max_length
        if field.format is not None:
            spec["format"] = field.format
        if field.kind is FieldType.JSON:
            spec["headwater.json"] = True
        if self.private:
            spec["headwater.private"] = self.private
        return {**spec, "doc": f"review: {self.review}"} if self.review else spec


def _avro_type(field: Field) -> Any:
    if field.kind is FieldType.JSON:
        return "string"
    if field.kind not in LOGICAL_TYPES:
        return str(field.kind)
    digits = {"precision": field.precision, "scale": field.scale} if field.kind is FieldType.DECIMAL else {}
    return {"type": LOGICAL_TYPES[field.kind], "logicalType": str(field.kind), **digits}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed entity. `other_keys` are alternatives to `key`; `remarks` concern no single field."""

    fields: tuple[ProposedField, ...]
    key: tuple[str, ...]
    other_keys: tuple[tuple[str, ...], ...] = ()
    remarks: tuple[str, ...] = ()

    def avsc(self, entity: str) -> str:
        """Return the text of v1.avsc, with a line for each field."""
        name = "".join(word.capitalize() for word in entity.split("_"))
        lines = ",\n".join(f"    {json.dumps(proposed.spec, ensure_ascii=False)}" for proposed in self.fields)
        return f'{{\n  "type": "record",\n  "name": {json.dumps(name)},\n  "fields": [\n{lines}\n  ]\n}}\n'

    def toml(self, source: Mapping[str, object], remarks: Iterable[str] = ()) -> str:
        """Return the text of entity.toml with this source, and `remarks` about it."""
        notes = [
            *remarks,
            *self.remarks,
            *(f"as unique in the sample: key = {json.dumps(key)}" for key in self.other_keys),
        ]
        if "csv" in source and self.key:
            notes.append(
                'mode = "snapshot" where each file is everything there is: what it leaves out is gone'
            )
        lines = [f"# review: {note}" for note in notes]
        if self.key:
            lines.append(f"key = {json.dumps(list(self.key))}")
        lines += ["", "[[source]]", *(f"{name} = {_toml(value)}" for name, value in source.items())]
        return "\n".join(lines).lstrip("\n") + "\n"


def _toml(value: object) -> str:
    """Return a text, a number, a boolean or a list of texts in TOML."""
    # JSON's form is valid TOML, except that TOML requires DEL to be escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def check_width(columns: int) -> None:
    """Raise ConfigurationError for more columns than a table can have."""
    if columns > MAX_COLUMNS:
        raise ConfigurationError(
            f"found {columns:,} columns; allowed: at most {MAX_COLUMNS:,}, as many as a table of SQL Server "
            "has beside Headwater's own 8: leave out those that are not needed"
        )


def propose(columns: Sequence[ColumnSample], key: Sequence[str] | None = None) -> Proposal:
    """Propose an entity for the sampled columns.

    `key` has names of columns or fields, if they are known. Raises ConfigurationError for more columns than a
    table can have, and for a key that does not fit the sample.
    """
    check_width(len(columns))
    names = field_names([column.source_name for column in columns])
    suspected = [_suspect(name, column) for name, column in zip(names, columns, strict=True)]
    key_indexes, other_keys = _key(names, columns, suspected, key)
    has_person = any(suspicion is Suspicion.LIKELY for suspicion, _ in suspected)
    fields = [
        _field(name, column, suspicion, has_person, in_key=index in key_indexes)
        for index, (name, column, suspicion) in enumerate(zip(names, columns, suspected, strict=True))
    ]
    if all(proposed.private == DROP for proposed in fields):  # a schema needs at least one field
        fields = [
            ProposedField(_hidden(proposed.field, column), _MASK, proposed.review)
            for proposed, column in zip(fields, columns, strict=True)
        ]
    return Proposal(
        fields=tuple(fields),
        key=tuple(names[index] for index in key_indexes),
        other_keys=tuple(tuple(names[index] for index in other) for other in other_keys),
        remarks=tuple(_remarks(columns, key_indexes)),
    )


def _remarks(columns: Sequence[ColumnSample], key_indexes: Sequence[int]) -> Iterator[str]:
    if not key_indexes:
        yield "no key was found: each row is a fact of its own, known by file and row number"
    elif columns[0].hashes and not is_key([columns[index].hashes for index in key_indexes]):
        yield "rows of the sample share this key: the last of them wins"


# Names


def field_names(source_names: Sequence[str]) -> list[str]:
    """Return a unique name in snake case for each source name: LinkURN becomes link_urn."""
    taken: set[str] = set()
    names = []
    for source_name in source_names:
        name = _free(_snake(source_name), taken)
        taken.add(name)
        names.append(name)
    return names


def _snake(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    split = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", plain)
    split = re.sub(r"([a-z\d])([A-Z])", r"\1_\2", split)
    name = re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")
    # 5 characters less than the limit leave room for a number that makes the name unique.
    return (name if name[:1].isalpha() else f"column_{name}".rstrip("_"))[: MAX_NAME - 5].rstrip("_")


def field_name(source_name: str) -> str:
    """Return the name in snake case."""
    return _snake(source_name)


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name}_{number}"
    return free


# Private fields


def _suspect(name: str, column: ColumnSample) -> tuple[Suspicion, str]:
    """Return the stronger of the suspicions by name and by texts."""
    named = by_name(name)
    # The texts of a typed column, such as numbers and dates, are not significant.
    is_text = column.known is None or column.known.kind is FieldType.STRING
    seen = column.looked_at.verdict() if is_text else (Suspicion.NONE, "")
    if column.within and named[0] is not Suspicion.LIKELY:
        level = max(suspicion for suspicion, _ in column.within)
        return level, ", ".join(dict.fromkeys(what for _, what in reversed(column.within)))
    return max(named, seen, key=lambda suspected: suspected[0])


def _field(
    name: str, column: ColumnSample, suspected: tuple[Suspicion, str], has_person: bool, in_key: bool
) -> ProposedField:
    suspicion, what = suspected
    kind, review = _since_1970(name, column) or column.kind()
    field = _named(kind, name, column, in_key)
    is_likely = has_person and field.kind is not FieldType.JSON  # a whole map is not left out for a postcode
    if suspicion is Suspicion.LIKELY or (suspicion is Suspicion.POSSIBLE and is_likely):
        return _private(field, column, f"likely {what}", in_key)
    if suspicion is Suspicion.POSSIBLE:
        review = "; ".join(filter(None, (f"{what}: private where it is a person's", review)))
    return ProposedField(field, "", review)


def _since_1970(name: str, column: ColumnSample) -> tuple[Field, str] | None:
    """Return a timestamp for numbers of a plausible size whose name suggests a moment."""
    moment = column.numbers.moment_since_1970() if column.numbers else None
    if moment is None or column.kind()[0].kind not in (FieldType.INT, FieldType.LONG):
        return None
    epoch, what = moment
    if not {*name.split("_")} & _MOMENT_WORDS:
        return (column.kind()[0], f"perhaps {what}") if epoch == "epoch-millis" else None
    return Field("f", FieldType.TIMESTAMP_MICROS, format=epoch), f"{what}, by name and size"


def _named(field: Field, name: str, column: ColumnSample, in_key: bool) -> Field:
    from_names = {} if name == column.source_name else {"*": column.source_name}
    nullable = column.nulls > 0 and not in_key
    return replace(field, name=name, nullable=nullable, from_names=from_names)


def _private(field: Field, column: ColumnSample, review: str, in_key: bool) -> ProposedField:
    """Hide a field as far as possible."""
    # Only a text can be masked or hashed, and a field of the key can't be dropped.
    is_moment = field.kind is FieldType.DATE or "timestamp" in field.kind
    may_be_text = field.kind is FieldType.STRING or (column.known is None and (in_key or not is_moment))
    if may_be_text:
        return ProposedField(_hidden(field, column), _HASH if in_key else _MASK, review)
    if in_key:
        return ProposedField(field, "", f"{review}, in the key: it can be neither hashed nor left out")
    return ProposedField(field, DROP, review)


def _hidden(field: Field, column: ColumnSample) -> Field:
    """Return the field as a string that is long enough for its hash or mask."""
    text, _ = column.texts.string()
    length = text.max_length and max(text.max_length, _HASHED_LENGTH)
    return replace(field, kind=FieldType.STRING, max_length=length, format=None, precision=0, scale=0)


# The key


def _key(
    names: Sequence[str],
    columns: Sequence[ColumnSample],
    suspected: Sequence[tuple[Suspicion, str]],
    option: Sequence[str] | None,
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Return the indexes of the key's columns, and alternative keys."""
    if option is not None:
        indexes = tuple(_key_index(name, names, columns) for name in option)
        if len({*indexes}) < len(indexes):
            raise ConfigurationError(f"--key: found {', '.join(option)}; allowed: each column once")
        return indexes, []
    likely = sorted(_eligible(columns), key=lambda index: _preference(index, names, columns, suspected))
    candidates = candidate_keys([columns[index].hashes for index in likely])
    keys = [tuple(sorted(likely[position] for position in candidate)) for candidate in candidates]
    others = [key for key in keys[1:] if all(suspected[index][0] is Suspicion.NONE for index in key)]
    return (keys[0], others) if keys else ((), [])


def _key_index(name: str, names: Sequence[str], columns: Sequence[ColumnSample]) -> int:
    """Return the index of a column named by `--key`. Raises ConfigurationError if it can't be in a key."""
    source_names = [column.source_name for column in columns]
    if name not in names and name not in source_names:
        raise unknown("--key: not a column of the sample", name, source_names)
    index = source_names.index(name) if name in source_names else names.index(name)
    column = columns[index]
    kind = column.kind()[0].kind
    if kind in (FieldType.FLOAT, FieldType.DOUBLE, FieldType.JSON):
        raise ConfigurationError(f"--key: the column {name} is {kind}; allowed: no float, double or json")
    if column.nulls:
        raise ConfigurationError(
            f"--key: the column {name} is empty in {column.nulls:,} rows of the sample; allowed: a column "
            "that always has a value"
        )
    return index


def _eligible(columns: Sequence[ColumnSample]) -> Iterable[int]:
    """Yield the indexes of columns that may be part of a key."""
    for index, column in enumerate(columns):
        kind = column.kind()[0].kind
        if not column.nulls and column.texts.longest <= _LONGEST_KEY and kind not in _NOT_IN_A_KEY:
            yield index


def _preference(
    index: int,
    names: Sequence[str],
    columns: Sequence[ColumnSample],
    suspected: Sequence[tuple[Suspicion, str]],
) -> tuple[int, bool, bool, int]:
    """Return a sort key that puts the likeliest columns of a key first.

    These are not private, named like a key, integers or texts, and further left.
    """
    kind = (columns[index].known or columns[index].texts.kind()[0]).kind
    words = {*names[index].split("_")}
    return (
        suspected[index][0],
        not words & _KEY_WORDS,
        kind not in (FieldType.INT, FieldType.LONG, FieldType.STRING),
        index,
    )
