"""What is SQL Server's own and needs no server: its errors as ours, types, what is sent, what is refused."""

import json
import re
import traceback
from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

import pymssql
import pytest
from consumers_world import CHOSEN, ENTITIES, EVERY, ITEM, entity, field, item, logical, row
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from consumers.warehouse import engines
from consumers.warehouse.mssql.errors import (
    CLIENT_NUMBERS,
    NUMBERS,
    RowRefused,
    map_error,
    mssql_errors,
    number_of,
)
from consumers.warehouse.mssql.load import (
    JSON_ROWS,
    JSON_TEXT,
    JSON_TEXT_ROWS,
    LITERAL_ROWS,
    AnyRow,
    loads,
)
from consumers.warehouse.mssql.sql import MAX_RANK, create_table, create_view, quoted, text
from consumers.warehouse.mssql.transaction import MssqlTransaction
from consumers.warehouse.mssql.values import storage_of
from consumers.warehouse.mssql.warehouse import MssqlWarehouse, connect_arguments, open_warehouse
from consumers.warehouse.port import RefusedRowError, Row, TransactionLostError
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse
from consumers.warehouse.tables import StagingTable
from schemas.errors import ConfigurationError, TransientError

URL = "mssql+pymssql://writer:swordfish@warehouse.example:1433/reports"
TABLE = StagingTable(ITEM, "staging.")
LABEL = [each.name for each in TABLE.fields].index("label")


# The URL.


@pytest.mark.parametrize(
    "url",
    [
        "mssql+pyodbc://writer:swordfish@host/db",
        "mssql://writer:swordfish@host/db",
        "mssql+pymssql://writer:swordfish@host",
        "mssql+pymssql:///db",
        "swordfish",
    ],
)
def test_a_url_that_is_not_pymssqls_with_host_and_database_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mssql\+pymssql://") as caught:
        open_warehouse(url, ENTITIES)
    assert "swordfish" not in "".join(traceback.format_exception(caught.value))


def test_the_url_alone_chooses_the_engine(tmp_path: object) -> None:
    assert isinstance(engines.open_warehouse(URL, ENTITIES), MssqlWarehouse)
    assert isinstance(engines.open_warehouse(f"sqlite:///{tmp_path}/w.db", ENTITIES), SqliteWarehouse)
    with pytest.raises(ConfigurationError, match=r"'postgresql'.*sqlite, mssql"):
        engines.open_warehouse("postgresql://u:swordfish@h/d", ENTITIES)


def test_encryption_is_required_unless_the_url_says_otherwise() -> None:
    assert connect_arguments(make_url(URL))["encryption"] == "require"
    assert "encryption" not in connect_arguments(make_url(f"{URL}?encryption=off"))


def test_pymssql_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, object]] = []

    def connect(**arguments: object) -> None:
        told.append(arguments)
        raise pymssql.OperationalError((20009, b"DB-Lib error message 20009, severity 9:\nno"))

    monkeypatch.setattr(pymssql, "connect", connect)
    for url in (URL, f"{URL}?encryption=off"):
        with pytest.raises(TransientError):
            open_warehouse(url, ENTITIES).ensure()
    assert [each["encryption"] for each in told] == ["require", "off"]


def test_the_password_is_in_no_text_of_the_engine() -> None:
    assert "swordfish" not in repr(open_warehouse(URL, ENTITIES).engine)


# Errors.

MADE_FOR_RETRY = """
    233 921 1203 1204 1205 1221 1222 1807 3935 3957 3960 3966 4221 8628 8645 8651 10053 10054 10060 10061
    10928 10929 10936 17197 40143 40166 40197 40501 40540 40544 40549 40550 40551 40552 40553 40613 42108
    42109 49918 49919 49920
"""
"""Numbers of the engine that Microsoft's own clients retry, those of Azure SQL among them:
https://learn.microsoft.com/sql/connect/ado-net/configurable-retry-logic-core-apis-sqlclient"""

OF_STATEMENTS = {
    # What the reference's lists of errors have for each form that is sent, and for where it runs: its numbers
    # by what they are to us.
    TransactionLostError: """
        539 596 1205 2601 2627 2801 3902 3903 3930 3939 3940 3948 3960 3971 3981 3998 50003
    """,
    TransientError: """
        701 802 823 824 825 845 921 922 923 924 926 927 942 945 952 976 978 983 1101 1105 1204 1222 3906 3908
        3949 3950 3957 3958 3966 3967 3984 3985 4064 5061 5070 5120 6005 8628 8645 8651 9002 17142 17187 17197
        17809 18401 18451 18461 50001
    """,
    RowRefused: """
        168 220 232 241 242 245 248 511 515 517 542 547 1946 2628 8114 8115 8134 8152 8169 13606 13608 13609
    """,
    ConfigurationError: """
        102 103 105 109 110 111 120 121 123 137 156 191 195 206 207 208 209 226 229 230 257 262 266
        297 300 319 325 402 446 448 449 451 457 468 564 565 911 916 1088 1701 1702 1750 2705 2714
        2759 2760 2812 3701 3705 3729 4060 4104 4613 4902 5011 5069 8623 8631 8632 10709 10738 13607
        13626 15023 15151 15247 18452 18456 18470 18486 18487 18488
    """,
}
"""https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors"""


@pytest.mark.parametrize("number", sorted(map(int, MADE_FOR_RETRY.split())))
def test_what_microsofts_clients_retry_is_retried(number: int) -> None:
    assert issubclass(NUMBERS[number][0], TransientError)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(int(number), kind) for kind, numbers in OF_STATEMENTS.items() for number in numbers.split()],
)
def test_no_number_that_a_statement_can_meet_is_unmapped(number: int, kind: type) -> None:
    """By the table, and not by severity, which is for those that nobody thought of."""
    assert NUMBERS[number][0] is kind
    assert NUMBERS[number][1]


def test_every_number_of_the_clients_library_is_a_matter_of_the_connection() -> None:
    for number in CLIENT_NUMBERS:
        kind, _ = map_error(number, None)
        assert issubclass(kind, TransientError | ConfigurationError), number
    assert map_error(None, None)[0] is TransactionLostError


@pytest.mark.parametrize(
    ("severity", "kind"),
    [(11, ConfigurationError), (16, ConfigurationError), (17, TransientError), (24, TransientError)],
)
def test_an_unknown_number_is_judged_by_its_severity(severity: int, kind: type) -> None:
    assert 61_234 not in NUMBERS
    assert map_error(61_234, severity)[0] is kind


def test_what_fills_up_or_is_read_only_is_never_a_row() -> None:
    for number in (9002, 1105, 3906, 701, 823, 942, 1222):
        assert map_error(number, 16)[0] is TransientError


@pytest.mark.parametrize("number", sorted(NUMBERS))
def test_inv7_an_error_tells_its_number_and_words_of_ours_alone(number: int) -> None:
    foreign = pymssql.OperationalError(number, b"the value swordfish is too long")
    expected, words = NUMBERS[number]
    with pytest.raises(expected) as caught, mssql_errors("write"):
        raise DBAPIError("INSERT ... VALUES (N'swordfish')", ("swordfish",), foreign)
    assert str(caught.value) == f"write: SQL Server error {number}: {words}"
    assert "swordfish" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("number", "text", "subject"),
    [  # the texts of sys.messages
        (208, "Invalid object name 'headwater.revisions'.", " (headwater.revisions)"),
        (208, "Invalid object name 'OPENJSON'.", " (OPENJSON)"),
        (207, "Invalid column name 'size'.", " (size)"),
        (
            229,
            "The INSERT permission was denied on the object 'item__r1', database 'd', schema 'staging'.",
            " (INSERT on staging.item__r1)",
        ),
        (262, "CREATE TABLE permission denied in database 'warehouse'.", " (CREATE TABLE)"),
        (208, "Ung\u00fcltiger Objektname 'staging.item'.", ""),
        (208, "Invalid object name 'swordfish of a value'.", ""),
        (8152, "Invalid object name 'swordfish'.", ""),
    ],
)
def test_an_error_names_the_table_or_the_right_that_is_missing(number: int, text: str, subject: str) -> None:
    said = f"{text}DB-Lib error message 20018, severity 16:\nGeneral SQL Server error\n".encode()
    with pytest.raises(NUMBERS[number][0]) as caught, mssql_errors("write item"):
        raise DBAPIError("INSERT", (), pymssql.OperationalError(number, said))
    assert str(caught.value) == f"write item: SQL Server error {number}{subject}: {NUMBERS[number][1]}"


def test_of_a_connection_that_fails_the_number_is_not_that_of_an_earlier_failure() -> None:
    """As pymssql 2.4.6 gives them."""
    refused = b"DB-Lib error message 20009, severity 9:\nUnable to connect\nNet-Lib error: refused (111)\n"
    assert number_of(pymssql.OperationalError((911, refused)))[0] == 20009
    greeted = b"Changed language setting to 'us_english'DB-Lib error message 20047, severity 9:\n" + refused
    assert number_of(pymssql.OperationalError((5703, greeted)))[0] == 20009
    again = b"DB-Lib error message 20018, severity 14:\nGeneral\nDB-Lib error message 20002, severity 9:\n"
    assert number_of(pymssql.OperationalError((911, again)))[0] == 20018
    login = b'Login failed for user "x"DB-Lib error message 20018, severity 14:\nGeneral SQL Server error\n'
    assert number_of(pymssql.OperationalError((18456, login)))[0] == 18456
    assert number_of(pymssql.OperationalError(1205, b"deadlock"))[0] == 1205
    assert number_of(pymssql.InterfaceError("Connection is closed."))[0] is None


# Types.

SIZED = entity(
    "sized",
    [
        field("id", "string", maxLength=10),
        field("half", ["null", "string"], default=None, maxLength=2_000),
        field("more", ["null", "string"], default=None, maxLength=2_001),
        field("digest", ["null", "bytes"], default=None, maxLength=32),
        field("amount", logical("decimal", "bytes", precision=38, scale=10)),
    ],
    ["id"],
)


def test_a_column_holds_all_that_its_field_allows() -> None:
    """A character outside the BMP takes two of NVARCHAR's units."""
    assert [storage_of(each).sql_type for each in SIZED.schema.fields] == [
        "NVARCHAR(20)",
        "NVARCHAR(4000)",
        "NVARCHAR(MAX)",
        "VARBINARY(32)",
        "DECIMAL(38,10)",
    ]


def test_text_columns_are_in_a_binary_collation_and_no_other_is() -> None:
    made = create_table(TABLE, 1)
    assert "[label] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL" in made
    assert "[_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL" in made
    assert "[size] INT NULL" in made


def test_names_and_texts_are_quoted() -> None:
    assert quoted("staging.or]der") == "[staging].[or]]der]"
    assert text("it's") == "N'it''s'"


_REPLACED = re.compile(
    r"REPLACE\(CAST\(N'((?:[^']|'')*)' AS NVARCHAR\(MAX\)\) COLLATE Latin1_General_100_BIN2, "
    r"N'(.)', N'\\'\)",
    re.DOTALL,
)


@pytest.mark.parametrize(
    "value",
    [
        "a\\\nb",
        "\\\r\n",
        "\\\\\n\\\n",
        "it's\\\n'",
        "'a'\\\n%s\\\\n",
        "\\\n" * 4_000,
        "".join(map(chr, range(1, 0xD800))) + "\\\n",
    ],
)
def test_no_literal_has_a_backslash_at_the_end_of_a_line(value: str) -> None:
    """T-SQL would take both away, and join the lines. However many there are: one literal, one call."""
    shown = text(value)
    assert "\\\n" not in shown
    assert "\\\r" not in shown
    made = _REPLACED.fullmatch(shown)
    assert made is not None
    held, stand_in = made.groups()
    assert held.replace("''", "'").replace(stand_in, "\\") == value
    assert len(shown) < 2 * len(value) + 120


def test_a_view_with_a_preference_tells_trailing_blanks_apart() -> None:
    assert "PARTITION BY [id], DATALENGTH([id])" in create_view(
        StagingTable(CHOSEN, "staging."), "staging.chosen", 3
    )


# What is sent.


def test_rows_go_as_json_texts_in_the_order_of_their_keys() -> None:
    rows = [row(ITEM, item(f"{n}"), 1) for n in range(JSON_ROWS + 1)]
    first, second = loads(TABLE, rows)
    assert (first.rows, second.rows) == (JSON_ROWS, 1)
    assert list(loads(TABLE, reversed(rows))) == [first, second]  # type: ignore[arg-type]
    texts = [json.loads(str(each)) for each in (first.parameters or ())[-JSON_ROWS // JSON_TEXT_ROWS :]]
    assert [len(each) for each in texts] == [JSON_TEXT_ROWS] * (JSON_ROWS // JSON_TEXT_ROWS)
    keys = [UUID(sent[0]).bytes_le for text in texts for sent in text]
    assert keys == sorted(each.key_hash for each in rows)[:JSON_ROWS]


def test_what_all_rows_have_in_common_is_said_once() -> None:
    alike = [row(ITEM, item(f"{n}"), n)._replace(source="csv:50% %s") for n in (10, 11)]
    (load,) = loads(TABLE, alike)
    assert "%" not in load.statement.replace("%s", "")
    (prefix, *once, text) = load.parameters or ()
    assert (prefix, once) == ("2024-00001", [False, "csv:50% %s", 1])
    assert {len(sent) for sent in json.loads(str(text))} == {len(TABLE.columns) - 1 - 3}


def test_what_differs_is_said_in_each_row() -> None:
    one = row(ITEM, item("x"), 1)
    other = row(ITEM, item("y"), 1)._replace(deleted=True, source="csv:other", schema_version=2)
    (load,) = loads(TABLE, [one, other])
    (_prefix, text) = load.parameters or ()
    said = [(sent[11], sent[12], sent[14]) for sent in json.loads(str(text))]
    assert sorted(said) == sorted((each.deleted, each.source, each.schema_version) for each in (one, other))


@pytest.mark.parametrize("ranks", [["a"], ["a", "a"], ["ab", "a"], ["a", "b"], ["", "a"], ["aXb", "aYb"]])
def test_ranks_of_any_shape_come_whole(ranks: list[str]) -> None:
    (load,) = loads(TABLE, [row(ITEM, item(f"{n}"), 1)._replace(rank=rank) for n, rank in enumerate(ranks)])
    prefix, *_, text = load.parameters or ()
    assert sorted(f"{prefix}{sent[9]}" for sent in json.loads(str(text))) == sorted(ranks)


def test_rows_with_binary_columns_go_as_literals() -> None:
    rows = [row(EVERY, {"id": UUID(int=n), "some_bytes": b"ascii"}, 1) for n in range(LITERAL_ROWS + 1)]
    first, second = loads(StagingTable(EVERY, "staging."), rows)
    assert (first.rows, second.rows) == (LITERAL_ROWS, 1)
    assert first.parameters is None
    assert "0x6173636969" in first.statement


def test_only_rows_with_long_text_go_as_literals_beside_the_rest() -> None:
    rows = [row(ITEM, item(f"{n}", label="x" * (JSON_TEXT + n % 2)), 1) for n in range(10)]
    plain, literal = loads(TABLE, rows)
    assert (plain.rows, literal.rows) == (5, 5)
    assert (plain.parameters is None, literal.parameters is None) == (False, True)
    (alone,) = loads(TABLE, rows[1::2])
    assert alone.rows == 5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rank": "é 0001"}, "rank, .*ASCII$"),
        ({"rank": "9" * (MAX_RANK + 1)}, f"rank, .*{MAX_RANK} characters of ASCII$"),
        ({"source": "csv:" + "😀" * 149}, "the row: the name of its source takes at most 300 characters$"),
    ],
)
def test_a_row_that_the_system_columns_can_not_hold_is_refused_by_rule(
    change: dict[str, object], says: str
) -> None:
    good, bad = row(ITEM, item("x"), 1), row(ITEM, item("y"), 1)._replace(**change)
    with pytest.raises(RefusedRowError, match=says) as caught:
        list(loads(TABLE, [good, bad]))
    assert caught.value.key_hash == bad.key_hash


def test_all_rows_that_no_column_holds_are_found_at_once() -> None:
    numbers = [5e-324, 1.0, 2.0**-1070, 2.0]
    rows = [row(EVERY, {"id": UUID(int=n), "a_double": each}, 1) for n, each in enumerate(numbers)]
    with pytest.raises(RefusedRowError) as caught:
        list(loads(StagingTable(EVERY, "staging."), rows))
    refused = {caught.value.key_hash, *(each.key_hash for each in caught.value.more)}
    assert refused == {rows[0].key_hash, rows[2].key_hash}


@pytest.mark.parametrize(
    ("name", "value"), [("a_float", 2.0**-140), ("a_double", 5e-324), ("a_double", -1e-310)]
)
def test_a_number_that_sql_server_would_make_zero_is_refused(name: str, value: float) -> None:
    bad = row(EVERY, {"id": UUID(int=1), name: value}, 1)
    with pytest.raises(RefusedRowError, match=f"field {name}.*zero") as caught:
        list(loads(StagingTable(EVERY, "staging."), [bad]))
    assert caught.value.key_hash == bad.key_hash
    assert str(Decimal(value)) not in str(caught.value)


class Judging(MssqlTransaction):
    """Refuses the rows that `reasons` names by their label, the first of them with its reason."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = reasons

    def refused(self, rows: Sequence[Row]) -> Exception:
        first = self._refusal(TABLE, "", rows)
        assert first is not None
        return self._refused(TABLE, "", rows, first)

    def _refusal(self, table: StagingTable, write: str, rows: Sequence[AnyRow]) -> RowRefused | None:
        labels = (str(each.values[LABEL]) for each in rows)
        reason = next((self._reasons[label] for label in labels if label in self._reasons), None)
        return RowRefused(reason) if reason else None


def test_each_refused_row_has_the_reason_of_its_own() -> None:
    rows = [row(ITEM, item(f"{n}", label=f"label {n}"), 1) for n in range(20)]
    found = Judging({"label 3": "too long", "label 4": "no date", "label 15": "no NULL"}).refused(rows)
    assert isinstance(found, RefusedRowError)
    assert {each.key_hash: str(each) for each in (found, *found.more)} == {
        rows[3].key_hash: "the warehouse refuses the row: too long",
        rows[4].key_hash: "the warehouse refuses the row: no date",
        rows[15].key_hash: "the warehouse refuses the row: no NULL",
    }
