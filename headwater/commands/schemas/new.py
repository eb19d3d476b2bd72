"""`headwater schemas new`: propose an entity from a CSV file or a DynamoDB table."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from headwater.commands.schemas.arguments import home_option, settings_of
from headwater.exit_codes import DONE
from headwater.output import counted, show_table, tell
from headwater.parsing import Commands, add_command, count
from headwater.scaffold.proposal import Proposal, propose
from schemas.catalog.described import type_text
from schemas.catalog.loader import load_entity
from schemas.errors import ConfigurationError
from schemas.refusals import snake_case

if TYPE_CHECKING:
    from headwater.scaffold.csv_sample import CsvSample

_ROWS = 100_000
_ITEMS = 10_000
_UNNAMED = "the columns are named by their place: name them in header here, and the fields in v1.avsc"

_Proposed: TypeAlias = tuple[Proposal, dict[str, object], Sequence[str]]
"""A proposal with the source's entry in entity.toml, and remarks on it."""


def add_parser(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "new",
        "propose entity.toml and v1.avsc from a CSV file or a DynamoDB table",
        example="headwater schemas new school_link --from links.csv --encoding cp1252 --out home",
        run=run,
        description=(
            "Reads the first rows and writes a folder for the entity: types, what may be null, a key, and "
            "likely private fields, which are hidden unless you change that. What a person should check is "
            "marked review. An existing folder is never overwritten."
        ),
    )
    parser.add_argument("entity", metavar="ENTITY", help="its name in lower snake case, such as school_link")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--from", dest="file", type=Path, metavar="FILE.csv", help="a file as it will be dropped"
    )
    source.add_argument("--from-table", metavar="TABLE", help="a DynamoDB table: some of its items are read")
    parser.add_argument("--key", metavar="A,B", help="the columns of the key; by default unique ones")
    _add_format(parser)
    parser.add_argument(
        "--rows", type=count, metavar="N", help=f"rows to read ({_ROWS:,}; items: {_ITEMS:,})"
    )
    parser.add_argument(
        "--out",
        dest="home",
        type=Path,
        metavar="HOME",
        help="the folder that holds entities/ (HEADWATER_HOME)",
    )


def _add_format(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe the form of a file."""
    parser.add_argument(
        "--delimiter", metavar="C", help="of the file; by default the likeliest of , ; | and tab"
    )
    header = parser.add_mutually_exclusive_group()
    header.add_argument(
        "--header",
        action="store_true",
        default=None,
        help="the first row names the columns, whatever it looks like",
    )
    header.add_argument(
        "--no-header",
        dest="header",
        action="store_false",
        help="it does not: columns are numbered, and you rename them",
    )
    parser.add_argument("--encoding", metavar="NAME", help="of the file, such as cp1252 (utf-8)")


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    entity = snake_case("ENTITY", options.entity)
    folder = _new_folder(settings_of(options).home, entity)
    proposal, source, remarks = _propose_from_file(options) if options.file else _propose_from_table(options)
    _write(folder, proposal, source, remarks)
    show_table(
        ("field", "type", "null", "key", "private", "from", "review"),
        [
            (
                proposed.field.name,
                type_text(proposed.field),
                "null" if proposed.field.nullable else "",
                "key" if proposed.field.name in proposal.key else "",
                proposed.private,
                proposed.field.from_names.get("*", ""),
                proposed.review,
            )
            for proposed in proposal.fields
        ],
    )
    for remark in (*remarks, *proposal.remarks):
        tell(f"review: {remark}")
    publish = f"headwater schemas publish {entity}{home_option(options)}"
    tell(f"made {folder}: look at what is marked review, then `{publish}`")
    return DONE


def _new_folder(home: Path | None, entity: str) -> Path:
    if home is None:
        raise ConfigurationError("--out: name the folder that holds your entities/, or set HEADWATER_HOME")
    folder = home / "entities" / entity
    if folder.exists():
        raise ConfigurationError(
            f"{folder}: is there already and is never overwritten: a change is a new version, such as v2.avsc"
        )
    return folder


def _propose_from_file(options: argparse.Namespace) -> _Proposed:
    from headwater.scaffold.csv_sample import sample_file

    delimiter, limit = _delimiter(options.delimiter), _limit(options.rows, _ROWS)
    sample = sample_file(options.file, delimiter, options.encoding, limit, options.header)
    proposal = propose(sample.columns, _key(options.key))
    tell(f"{options.file}: looked at {'all' if sample.whole else 'the first'} {counted(sample.rows, 'row')}")
    if sample.odd:
        tell(f"{counted(sample.odd, 'row')} of them will be rejected: more or fewer cells, or a NUL")
    if sample.blank:
        tell(f"{counted(sample.blank, 'row')} without any value left out, as spreadsheets leave them")
    if sample.unnamed:
        tell(f"{counted(sample.unnamed, 'column')} without a name left out")
    source = {"csv": options.entity, "mode": "upsert" if proposal.key else "append", **_form(sample)}
    return proposal, source, sample.remarks if sample.header else (*sample.remarks, _UNNAMED)


def _form(sample: CsvSample) -> dict[str, object]:
    """Return the properties of entity.toml for the form of the files, except those with the default value."""
    defaults = {"encoding": "utf-8", "delimiter": ",", "quoting": True, "skip_lines": 0, "header": True}
    header = sample.header or [column.source_name for column in sample.columns]
    form: dict[str, object] = {name: getattr(sample, name) for name in defaults} | {"header": header}
    return {name: value for name, value in form.items() if value != defaults[name]}


def _propose_from_table(options: argparse.Namespace) -> _Proposed:
    from headwater.aws import connect
    from headwater.scaffold.table_sample import sample_table

    sample = sample_table(connect().dynamodb, options.from_table, _limit(options.rows, _ITEMS))
    proposal = propose(sample.columns, _key(options.key) or sample.key)
    items = counted(sample.items, "item")
    tell(f"table {options.from_table}: looked at {'all' if sample.whole else 'the first'} {items}")
    return proposal, {"dynamodb": options.from_table}, ()


def _limit(rows: int | None, default: int) -> int:
    if rows == 0:
        raise ConfigurationError("--rows: found 0; allowed: 1 or more")
    return default if rows is None else rows


def _key(option: str | None) -> list[str] | None:
    return [name.strip() for name in option.split(",")] if option else None


def _delimiter(option: str | None) -> str | None:
    character = {"\\t": "\t", "tab": "\t"}.get(option or "", option)
    if character is not None and (len(character) != 1 or character in '"\r\n\0'):
        raise ConfigurationError("--delimiter: allowed: one character, but no quote, line end or NUL; or tab")
    return character


def _write(folder: Path, proposal: Proposal, source: Mapping[str, object], remarks: Sequence[str]) -> None:
    """Create the folder atomically, and only if its content is a valid entity."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside its final place: a rename is atomic only within one file system.
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as parent:
            draft = Path(parent) / folder.name
            draft.mkdir()
            (draft / "entity.toml").write_text(proposal.toml(source, remarks), encoding="utf-8")
            (draft / "v1.avsc").write_text(proposal.avsc(folder.name), encoding="utf-8")
            load_entity(draft)
            draft.rename(folder)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written: {error.strerror}") from error
