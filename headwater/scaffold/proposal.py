"""An entity proposed from a sample of its source: fields, key, private fields, each marked for review where a
person should look. Pure.

What is proposed can be loaded, and the sample itself can be read with it. No value of the sample is in it.
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
"""Of a table in SQL Server, without Headwater's own."""

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
_LONGEST_KEY = 200  # characters: longer texts are no names of things


@dataclass(slots=True)
class ColumnSample:
    """One column of a file, or one attribute of a table's items. `source_name`: what the source calls it."""

    source_name: str
    texts: TextSample
    known: Field | None = None
    """The kind, where the source itself knows it."""
    known_review: str = ""
    nulls: int = 0
    digits: TextSample | None = None
    """What is seen of the numbers of a source that has some."""
    looked_at: LookedAt = field(default_factory=LookedAt)
    within: Sequence[tuple[Suspicion, str]] = ()
    """What is seen within nested values."""
    hashes: "array[int]" = field(default_factory=lambda: array("q"))

    @property
    def numbers(self) -> TextSample | None:
        """What may be numbers of the column."""
        return self.texts if self.known is None else self.digits

    def kind(self) -> tuple[Field, str]:
        """A field of the likeliest kind, and what a person should look at, if anything."""
        return (self.known, self.known_review) if self.known else self.texts.kind()

    def add(self, text: str) -> None:
        """The text of one row; none is null."""
        if text:
            self.texts.add(text)
            self.looked_at.add(text)
        else:
            self.nulls += 1
        self.add_hash(text)

    def add_hash(self, text: str) -> None:
        """What tells one row of the column from another."""
        self.hashes.append(_hash(text))


def text_column(source_name: str, reading: Reading) -> ColumnSample:
    """A column of which nothing is known but its texts."""
    return ColumnSample(source_name, TextSample(reading))


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), signed=True)


@dataclass(frozen=True, slots=True)
class ProposedField:
    """`private` is "", "mask", "hash" or "drop"; `review` what a person should look at."""

    field: Field
    private: str
    review: str

    @property
    def spec(self) -> dict[str, Any]:
        """As v1.avsc has it."""
        made, kind = self.field, _avro_type(self.field)
        spec: dict[str, Any] = {"name": made.name, "type": ["null", kind] if made.nullable else kind}
        if made.nullable:
            spec["default"] = None
        if made.from_names:
            [spec["from"]] = made.from_names.values()
        if made.max_length is not None:
            spec["maxLength"] = made.max_length
        if made.format is not None:
            spec["format"] = made.format
        if made.kind is FieldType.JSON:
            spec["headwater.json"] = True
        if self.private:
            spec["headwater.private"] = self.private
        return {**spec, "doc": f"review: {self.review}"} if self.review else spec


def _avro_type(made: Field) -> Any:
    if made.kind is FieldType.JSON:
        return "string"
    if made.kind not in LOGICAL_TYPES:
        return str(made.kind)
    digits = {"precision": made.precision, "scale": made.scale} if made.kind is FieldType.DECIMAL else {}
    return {"type": LOGICAL_TYPES[made.kind], "logicalType": str(made.kind), **digits}


@dataclass(frozen=True, slots=True)
class Proposal:
    """`other_keys`: what else would do as the key. `remarks`: what concerns no single field."""

    fields: tuple[ProposedField, ...]
    key: tuple[str, ...]
    other_keys: tuple[tuple[str, ...], ...] = ()
    remarks: tuple[str, ...] = ()

    def avsc(self, entity: str) -> str:
        """The text of v1.avsc, a line for each field."""
        name = "".join(word.capitalize() for word in entity.split("_"))
        lines = ",\n".join(f"    {json.dumps(each.spec, ensure_ascii=False)}" for each in self.fields)
        return f'{{\n  "type": "record",\n  "name": {json.dumps(name)},\n  "fields": [\n{lines}\n  ]\n}}\n'

    def toml(self, source: Mapping[str, object], remarks: Iterable[str] = ()) -> str:
        """The text of entity.toml with this one source, and `remarks` on it."""
        notes = [
            *remarks,
            *self.remarks,
            *(f"as unique in the sample: key = {json.dumps(each)}" for each in self.other_keys),
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
    """A text, a number, a boolean or a list of texts: JSON's form is TOML's, but for the character DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def check_width(columns: int) -> None:
    """Raises ConfigurationError for more columns than a table takes."""
    if columns > MAX_COLUMNS:
        raise ConfigurationError(
            f"found {columns:,} columns; allowed: at most {MAX_COLUMNS:,}, as many as a table of SQL Server "
            "has beside Headwater's own 8: leave out those that nobody needs"
        )


def propose(columns: Sequence[ColumnSample], key: Sequence[str] | None = None) -> Proposal:
    """`key`: names of columns or fields, where they are known. Raises ConfigurationError for more columns
    than a table takes, and for a key that is none of the sample's rows."""
    check_width(len(columns))
    names = field_names([each.source_name for each in columns])
    suspected = [_suspect(name, each) for name, each in zip(names, columns, strict=True)]
    places, others = _key(names, columns, suspected, key)
    has_person = any(suspicion is Suspicion.LIKELY for suspicion, _ in suspected)
    made = [
        _field(name, column, suspicion, has_person, place in places)
        for place, (name, column, suspicion) in enumerate(zip(names, columns, suspected, strict=True))
    ]
    if all(each.private == DROP for each in made):  # a schema has a field
        made = [
            ProposedField(_hidden(each.field, column), _MASK, each.review)
            for each, column in zip(made, columns, strict=True)
        ]
    return Proposal(
        tuple(made),
        tuple(names[place] for place in places),
        tuple(tuple(names[place] for place in other) for other in others),
        tuple(_remarks(columns, places)),
    )


def _remarks(columns: Sequence[ColumnSample], places: Sequence[int]) -> Iterator[str]:
    if not places:
        yield "no key was found: each row is a fact of its own, known by file and row number"
    elif columns[0].hashes and not is_key([columns[place].hashes for place in places]):
        yield "rows of the sample share this key: the last of them wins"


# Names


def field_names(source_names: Sequence[str]) -> list[str]:
    """A name in snake case for each, all different: LinkURN is link_urn."""
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
    return (name if name[:1].isalpha() else f"column_{name}".rstrip("_"))[: MAX_NAME - 5].rstrip("_")


def field_name(source_name: str) -> str:
    """In snake case."""
    return _snake(source_name)


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name}_{number}"
    return free


# Private fields


def _suspect(name: str, column: ColumnSample) -> tuple[Suspicion, str]:
    """The stronger of what name and texts say; the texts of a typed column say nothing."""
    found = by_name(name)
    is_text = column.known is None or column.known.kind is FieldType.STRING
    seen = column.looked_at.verdict() if is_text else (Suspicion.NONE, "")
    if column.within and found[0] is not Suspicion.LIKELY:
        level = max(each for each, _ in column.within)
        return level, ", ".join(dict.fromkeys(what for _, what in reversed(column.within)))
    return max(found, seen, key=lambda each: each[0])


def _field(
    name: str, column: ColumnSample, suspected: tuple[Suspicion, str], has_person: bool, in_key: bool
) -> ProposedField:
    suspicion, what = suspected
    made, review = _since_1970(name, column) or column.kind()
    made = _named(made, name, column, in_key)
    is_likely = has_person and made.kind is not FieldType.JSON  # a whole map is not left out for a postcode
    if suspicion is Suspicion.LIKELY or (suspicion is Suspicion.POSSIBLE and is_likely):
        return _private(made, column, f"likely {what}", in_key)
    if suspicion is Suspicion.POSSIBLE:
        review = "; ".join(filter(None, (f"{what}: private where it is a person's", review)))
    return ProposedField(made, "", review)


def _since_1970(name: str, column: ColumnSample) -> tuple[Field, str] | None:
    """Numbers of the size of moments under a name for one."""
    found = column.numbers.moment_since_1970() if column.numbers else None
    if found is None or column.kind()[0].kind not in (FieldType.INT, FieldType.LONG):
        return None
    epoch, what = found
    if not {*name.split("_")} & _MOMENT_WORDS:
        return (column.kind()[0], f"perhaps {what}") if epoch == "epoch-millis" else None
    return Field("f", FieldType.TIMESTAMP_MICROS, format=epoch), f"{what}, by name and size"


def _named(made: Field, name: str, column: ColumnSample, in_key: bool) -> Field:
    from_names = {} if name == column.source_name else {"*": column.source_name}
    nullable = column.nulls > 0 and not in_key
    return replace(made, name=name, nullable=nullable, from_names=from_names)


def _private(made: Field, column: ColumnSample, review: str, in_key: bool) -> ProposedField:
    """Hidden as far as can be: only a text can be masked or hashed, and a key cannot be left out."""
    is_moment = made.kind is FieldType.DATE or "timestamp" in made.kind
    may_be_text = made.kind is FieldType.STRING or (column.known is None and (in_key or not is_moment))
    if may_be_text:
        return ProposedField(_hidden(made, column), _HASH if in_key else _MASK, review)
    if in_key:
        return ProposedField(made, "", f"{review}, in the key: it can be neither hashed nor left out")
    return ProposedField(made, DROP, review)


def _hidden(made: Field, column: ColumnSample) -> Field:
    """A text with room for what hides it."""
    text, _ = column.texts.string()
    length = text.max_length and max(text.max_length, _HASHED_LENGTH)
    return replace(made, kind=FieldType.STRING, max_length=length, format=None, precision=0, scale=0)


# The key


def _key(
    names: Sequence[str],
    columns: Sequence[ColumnSample],
    suspected: Sequence[tuple[Suspicion, str]],
    given: Sequence[str] | None,
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Places of the key's columns, and what else would do."""
    if given is not None:
        places = tuple(_given_place(each, names, columns) for each in given)
        if len({*places}) < len(places):
            raise ConfigurationError(f"--key: found {', '.join(given)}; allowed: each column once")
        return places, []
    likely = sorted(_fit(columns), key=lambda place: _likeliness(place, names, columns, suspected))
    found = candidate_keys([columns[place].hashes for place in likely])
    keys = [tuple(sorted(likely[each] for each in places)) for places in found]
    others = [key for key in keys[1:] if all(suspected[each][0] is Suspicion.NONE for each in key)]
    return (keys[0], others) if keys else ((), [])


def _given_place(given: str, names: Sequence[str], columns: Sequence[ColumnSample]) -> int:
    source_names = [each.source_name for each in columns]
    if given not in names and given not in source_names:
        raise unknown("--key: not a column of the sample", given, source_names)
    place = source_names.index(given) if given in source_names else names.index(given)
    column = columns[place]
    kind = column.kind()[0].kind
    if kind in (FieldType.FLOAT, FieldType.DOUBLE, FieldType.JSON):
        raise ConfigurationError(f"--key: the column {given} is {kind}; allowed: no float, double or json")
    if column.nulls:
        raise ConfigurationError(
            f"--key: the column {given} is empty in {column.nulls:,} rows of the sample; allowed: a column "
            "that always has a value"
        )
    return place


def _fit(columns: Sequence[ColumnSample]) -> Iterable[int]:
    for place, column in enumerate(columns):
        kind = column.kind()[0].kind
        if not column.nulls and column.texts.longest <= _LONGEST_KEY and kind not in _NOT_IN_A_KEY:
            yield place


def _likeliness(
    place: int,
    names: Sequence[str],
    columns: Sequence[ColumnSample],
    suspected: Sequence[tuple[Suspicion, str]],
) -> tuple[int, bool, bool, int]:
    """The least is the likeliest: not private, named as keys are, whole numbers and texts, further left."""
    kind = (columns[place].known or columns[place].texts.kind()[0]).kind
    words = {*names[place].split("_")}
    return (
        suspected[place][0],
        not words & _KEY_WORDS,
        kind not in (FieldType.INT, FieldType.LONG, FieldType.STRING),
        place,
    )
