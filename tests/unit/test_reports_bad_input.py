"""What a wrong report file is told at the command line: where it is, and what to write instead."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from consumers.reporting.definition.body import MAX_CHARACTERS
from headwater.cli import main
from headwater.exit_codes import DONE, REFUSED

ROOT = Path(__file__).parents[2]
COMMENT = '/* headwater\nkey = ["town"]\n*/\n'
OFTEN = '/* headwater\nkey = ["town"]\nrefresh = "full every 5 minutes"\n*/\n'
S = "staging.school AS s"
GOOD = f"SELECT s.town, COUNT(*) AS n FROM {S} GROUP BY s.town"
ONLY_FULL = 'So it can\'t be kept change by change: set refresh = "full every 30 minutes"'


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "schemas" / "entities", tmp_path / "entities")
    (tmp_path / "reports").mkdir()
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    monkeypatch.delenv("HEADWATER_WAREHOUSE", raising=False)
    return tmp_path / "reports"


def told(reports: Path, text: str | bytes, capsys: pytest.CaptureFixture[str]) -> str:
    """What `reports check` says of a file; empty where it finds nothing wrong."""
    file = reports / "mine.sql"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    code = main(["reports", "check"])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert (code == REFUSED) == bool(said)
    return said.strip().removeprefix("headwater: ").removeprefix(f"{file}: ")


ALWAYS = [
    # not one SELECT
    (f"SELECT s.town,\nCOUNT( AS n FROM {S}", "line 5, column 8: Expecting ), near 'AS'"),
    (f"SELECT s.town, $5.20 AS n FROM {S}", "line 4, column 16: $5 begins a number of type MONEY: write it"),
    (f"SELECT s.town FROM {S} WHERE s.pupils > £5", "£5 begins a number of type MONEY: write it without"),
    (f"SELECT s.town\nFORM {S}", "line 5, column 6: 'staging' is not expected here"),
    (f"SELECT s.town FROM {S} WHERE", "line 4, column 40: something is missing at 'WHERE'"),
    (f"SELECT s.town, 'a AS n\nFROM {S}", "line 4, column 16: a text begins here and has no end: '"),
    (f"SELECT s.town FROM {S} /* why", "line 4, column 40: a comment begins here and has no end: */"),
    ("SELECT s.[town FROM x", "line 4, column 10: a name begins here and has no end: ]"),
    ("SELECT s.town FROM {{ ref('x') }} AS s", "line 4, column 20: Expected table name, near '{'"),
    ("", "there is no SELECT after the comment: SELECT s.urn, s.name FROM staging.school AS s"),
    ("-- later\n;", "there is no SELECT after the comment: SELECT s.urn, s.name FROM staging.school AS s"),
    (f"{GOOD};\nDROP TABLE x", "2 statements after the comment: a report is one SELECT"),
    (f"DECLARE @d DATE = 1; {GOOD}", "2 statements after the comment: a report is one SELECT"),
    (f"{GOOD}\nDROP TABLE x", "line 5, column 1: DROP begins another statement: a report is one SELECT"),
    (f"{GOOD}\nDELETE FROM x", "line 5, column 1: DELETE begins another statement: a report is one SELECT"),
    (f"{GOOD}\nGO", "line 5, column 1: GO is a command of SQL tools, not T-SQL: leave it out"),
    ("INSERT INTO x SELECT 1", "INSERT: a report is one SELECT, and changes nothing"),
    ("UPDATE staging.school SET town = 'x'", "UPDATE: a report is one SELECT, and changes nothing"),
    ("DELETE FROM staging.school", "DELETE: a report is one SELECT, and changes nothing"),
    ("TRUNCATE TABLE x", "TRUNCATE: a report is one SELECT, and changes nothing"),
    ("CREATE TABLE x (a INT)", "CREATE: a report is one SELECT, and changes nothing"),
    (f"CREATE VIEW x AS {GOOD}", "CREATE: a report is one SELECT, and changes nothing"),
    ("EXEC sp_who", "EXEC: a report is one SELECT, and changes nothing"),
    ("PRINT 'x'", "PRINT: a report is one SELECT, and changes nothing"),
    (f"IF 1 = 1 {GOOD}", "IF: a report is one SELECT, and changes nothing"),
    (
        f"SELECT s.town INTO x FROM {S}",
        "SELECT INTO: a report is one SELECT, and changes nothing: leave INTO out",
    ),
    (
        f"SELECT s.town INTO #x FROM {S}",
        "SELECT INTO: a report is one SELECT, and changes nothing: leave INTO out",
    ),
    (
        "WITH x AS (DELETE FROM staging.school OUTPUT deleted.town) SELECT x.town FROM x",
        "DELETE: a report is one SELECT, and changes nothing",
    ),
    (f"{GOOD} ORDER BY s.town", "ORDER BY at the end: a table has no order: sort when reading it"),
    (
        f"SELECT q.town FROM (SELECT s.town FROM {S} ORDER BY s.urn) AS q",
        "ORDER BY in an inner SELECT without TOP orders nothing: leave it out",
    ),
    # comments
    (
        f"{GOOD} -- ; drop table x",
        "a comment near line 4 holds what may be a statement, or another comment: take it out",
    ),
    (
        f"/* why\nDELETE FROM staging.school */\n{GOOD}",
        "a comment near line 6 holds what may be a statement, or another comment: take it out",
    ),
    (
        f"{GOOD} /* a /* b */ */",
        "a comment near line 4 holds what may be a statement, or another comment: take it out",
    ),
    (
        f"SELECT s.town, '/*' AS a FROM {S} /* '; exec sp_who; -- */",
        "a comment near line 4 holds what may be a statement, or another comment: take it out",
    ),
    # characters
    (f"SELECT s.town\0 FROM {S}", "line 4, column 14: a NUL character: the file is not text, or is damaged"),
    (
        f"SELECT\u200b s.town FROM {S}",
        "line 4, column 1: a character that can't be seen, U+200B: retype the line",
    ),
    (
        f"SELECT s.town, \u2018a\u2019 AS n FROM {S}",
        "line 4, column 16: \u2018 is not an SQL quote: write ' around texts, [ ] around names",
    ),
    (f"SELECT s.town FROM {S} WHERE {'(' * 2000}1 = 1{')' * 2000}", "too deeply to be parsed"),
    # what stands in FROM
    (
        "SELECT s.town FROM staging.scool AS s",
        'line 4, column 28: staging: found "scool"; did you mean "school"? allowed: class_group,',
    ),
    (
        "SELECT s.town FROM school AS s",
        'line 4, column 20: found "school"; did you mean "staging.school"? allowed: a table with its schema',
    ),
    ("SELECT s.town FROM staging.school__r1 AS s", 'found "school__r1"; did you mean "school"?'),
    ("SELECT s.town FROM staging.f(1) AS s", 'staging: found "f(1)"; allowed: class_group'),
    (
        "SELECT s.town FROM OPENQUERY(srv, 'SELECT 1') AS s",
        "line 4, column 20: OPENQUERY(srv, 'SELECT 1') reads another server: bring its rows in as an entity",
    ),
    ("SELECT s.town FROM OPENROWSET('a', 'b', 'c') AS s", "reads another server: bring its rows in"),
    (
        "SELECT s.town FROM srv.db.staging.school AS s",
        "srv.db.staging.school is in another database: use staging.<entity>, or a view of this one",
    ),
    ("SELECT s.town FROM db.staging.school AS s", "db.staging.school is in another database"),
    ("SELECT s.town FROM #x AS s", "line 4, column 21: #x is a table of one session: use a CTE instead"),
    ("SELECT s.town FROM ##x AS s", "##x is a table of one session: use a CTE instead"),
    ("SELECT s.town FROM @x AS s", "@x is a variable: use a CTE instead"),
    (
        f"SELECT s.town FROM {S} WITH (NOLOCK)",
        "WITH (NOLOCK): leave hints out: a refresh reads one snapshot, and waits for no lock",
    ),
    ("SELECT s.town FROM staging.school s (NOLOCK)", "WITH (NOLOCK): leave hints out"),
    (
        "SELECT s.town FROM staging.school FOR SYSTEM_TIME AS OF '2020-01-01' AS s",
        "FOR SYSTEM_TIME: staging holds the present only; an entity with history = true has ",
    ),
    (
        f"SELECT s.town FROM {S} INNER HASH JOIN staging.subscription AS u ON u.urn = s.urn",
        "HASH JOIN: leave hints out: INNER JOIN or LEFT JOIN alone",
    ),
    (
        f"SELECT s.town FROM {S} INNER JOIN staging.subscription AS u",
        "line 4, column 59: a JOIN without ON: add ON with the columns that must be equal",
    ),
    (f"SELECT s.town FROM {S} NATURAL JOIN staging.subscription AS u", "NATURAL JOIN is not T-SQL: use ON"),
    (f"SELECT s.town FROM {S} JOIN staging.subscription AS u USING (urn)", "JOIN ... USING is not T-SQL"),
    # the ends
    (
        f"{GOOD} OPTION (MAXDOP 1)",
        "OPTION (...): leave it out: the SELECT becomes part of other statements, with their own plans",
    ),
    (
        f"{GOOD} FOR XML PATH('x')",
        "FOR XML makes one text of a table: write its columns, or STRING_AGG(x.name, ',') for a list",
    ),
    (f"{GOOD} FOR JSON AUTO", "FOR JSON makes one text of a table"),
    (GOOD.replace("GROUP BY", "GROUP BY ALL"), "GROUP BY ALL: list the columns in GROUP BY"),
    # columns
    (
        f"SELECT s.twn FROM {S}",
        'line 4, column 10: column: found "twn"; did you mean "town"? allowed: urn, name, ',
    ),
    (
        f"SELECT twn FROM {S}",
        'line 4, column 8: column: found "twn"; did you mean "town"? allowed: urn, name, ',
    ),
    (f"SELECT x.town FROM {S}", 'line 4, column 8: alias: found "x"; allowed: s'),
    (
        f"SELECT urn AS town FROM {S} INNER JOIN staging.subscription AS u ON u.urn = s.urn",
        "line 4, column 8: column urn is in several tables: write s.urn or u.urn",
    ),
    (
        f"WITH a AS (SELECT s.town AS place FROM {S}) SELECT a.plase AS town FROM a",
        'column: found "plase"; did you mean "place"? allowed: place',
    ),
    (f"SELECT q.x AS town FROM (SELECT s.town FROM {S}) AS q", 'column: found "x"; allowed: town'),
    (
        f"SELECT s.town, q.m FROM {S} CROSS APPLY (SELECT COUNT(*) AS n FROM staging.subscription AS u "
        "WHERE u.urn = s.urn) AS q",
        'line 4, column 18: column: found "m"; nothing in FROM has it',
    ),
    (f"SELECT s.town, s._deleted AS n FROM {S}", 'column: found "_deleted"; allowed: urn, '),
    (
        f"SELECT s.town, s._source FROM {S}",
        "line 4, column 18: _source: names of a report's columns begin with a letter: write s._source",
    ),
    (
        f"SELECT * FROM {S}",
        "SELECT *: a report lists its columns, so that a new one in staging does not change its table: write",
    ),
    (f"SELECT s.*, 1 AS n FROM {S}", "SELECT *: a report lists its columns"),
    (f"WITH a AS (SELECT * FROM {S}) SELECT * FROM a", "SELECT *: a report lists its columns"),
    (
        f"SELECT s.town, COUNT(*) FROM {S} GROUP BY s.town",
        "line 4, column 16: COUNT(*) has no name: write COUNT(*) AS and a name",
    ),
    (f"SELECT s.town, 1 FROM {S}", "1 has no name: write 1 AS and a name"),
    (
        f"SELECT s.town, COUNT(*) AS [how many] FROM {S} GROUP BY s.town",
        'column: found "how many"; allowed: a letter of a-z, then letters, digits and _',
    ),
    (
        f"SELECT s.town, COUNT(*) AS größe FROM {S} GROUP BY s.town",
        'column: found "größe"; allowed: a letter',
    ),
    (
        f"SELECT s.town, s.Town FROM {S}",
        "two columns have one name, Town: rename one of them, as in AS Town_2",
    ),
    (
        f"SELECT s.town, s.name FROM {S} GROUP BY s.town",
        "line 4, column 18: s.name is neither in GROUP BY nor in an aggregate: add it to GROUP BY, or write "
        "MAX(s.name)",
    ),
    (f"SELECT s.town, COUNT(*) AS n FROM {S}", "s.town is neither in GROUP BY nor in an aggregate"),
    (
        f"SELECT s.town, s.name FROM {S} UNION ALL SELECT s.town FROM {S}",
        "the SELECTs of a UNION have 2 and 1 columns: give each the same columns",
    ),
    # values from outside
    (f"SELECT s.town, @day AS n FROM {S}", 'variable: found "@day"; allowed: @as_of'),
    (f"SELECT @x = s.town FROM {S}", 'variable: found "@x"; allowed: @as_of'),
    (f"SELECT s.town, @@SPID AS n FROM {S}", 'variable: found "@@SPID"; allowed: @as_of'),
    (
        f"SELECT s.town FROM {S} WHERE s.urn = ?",
        "? is a parameter, and a refresh passes none: write the value, or @as_of for the time of a refresh",
    ),
    (f"SELECT s.town FROM {S} WHERE s.urn = :urn", ":urn is a parameter, and a refresh passes none"),
    (f"SELECT s.town, NEXT VALUE FOR q AS n FROM {S}", "NEXT VALUE FOR changes its sequence: ROW_NUMBER()"),
]


@pytest.mark.parametrize("comment", [COMMENT, OFTEN])
@pytest.mark.parametrize(("body", "said"), ALWAYS)
def test_what_no_report_may_say_is_refused_with_what_to_write(
    reports: Path, capsys: pytest.CaptureFixture[str], comment: str, body: str, said: str
) -> None:
    one_more = comment == OFTEN
    for line in (6, 5, 4):  # its comment is a line longer
        said = said.replace(f"line {line}", f"line {line + one_more}")
    assert said in told(reports, comment + body, capsys)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "SELECT r.town FROM dbo.regions AS r",
            "dbo.regions is not a table of staging: its changes are not seen",
        ),
        ("SELECT r.town FROM dbo.f(1) AS r", "dbo.f(1) is not a table of staging"),
        ("SELECT r.town FROM history.school_at('2020-01-01') AS r", "is not a table of staging"),
        (
            f"SELECT s.town, j.value AS n FROM {S} CROSS APPLY STRING_SPLIT(s.name, ',') AS j",
            "STRING_SPLIT(s.name, ',') is a table-valued function",
        ),
        (f"SELECT s.town, dbo.f(s.urn) AS n FROM {S}", "dbo.f(s.urn) is a function of the database"),
        (f"SELECT s.town, REPLCATE(s.name, 2) AS n FROM {S}", "found REPLCATE; did you mean REPLICATE?"),
        (f"SELECT s.town, HOST_NAME() AS n FROM {S}", "HOST_NAME returns a different value each time"),
        (
            f"SELECT s.town, SYSDATETIME() AS n FROM {S}",
            "returns a different value each time; @as_of is the time",
        ),
        (f"SELECT TOP 3 s.town FROM {S} ORDER BY town", "TOP picks from all rows"),
        (
            f"SELECT TOP 3 s.town, COUNT(*) AS n FROM {S} GROUP BY s.town ORDER BY n DESC",
            "TOP picks from all",
        ),
        (f"SELECT s.town FROM {S} TABLESAMPLE (10 PERCENT)", "TABLESAMPLE returns different rows each time"),
        (
            f"SELECT p.town, p.[a] AS n FROM (SELECT s.town, s.name, s.urn FROM {S}) AS q "
            "PIVOT (COUNT(urn) FOR name IN ([a])) AS p",
            "PIVOT can't be followed: use SUM(CASE WHEN x.kind = 'a' THEN 1 ELSE 0 END)",
        ),
    ],
)
def test_what_can_be_made_anew_alone_is_told_so(
    reports: Path, capsys: pytest.CaptureFixture[str], body: str, said: str
) -> None:
    refused = told(reports, COMMENT + body, capsys)
    assert said in refused
    assert ONLY_FULL in refused
    assert told(reports, OFTEN + body, capsys) == ""


@pytest.mark.parametrize(
    "body",
    [
        f"{GOOD};",
        f"({GOOD})",
        f"SELECT s.town, COUNT(*) AS [order], MAX(s.urn) AS [table] FROM {S} GROUP BY s.town",
        f"SELECT s.town, '--' AS a, '/*' AS b, '; drop table x' AS c FROM {S} GROUP BY s.town",
        f"SELECT s.town, 'it''s -- ; delete' AS a, N'ä\u20ac\U0001f600' AS b FROM {S} GROUP BY s.town",
        'SELECT s."town" FROM "staging"."school" AS s GROUP BY s."town"',
        "SELECT [s].[town] FROM [staging].[school] AS [s] GROUP BY [s].[town]",
        "SELECT ü.town FROM staging.school AS ü GROUP BY ü.town",
        f"SELECT town = s.town, n = COUNT(*) FROM {S} GROUP BY s.town",
        f"-- Use this for the dashboard.\n-- Update daily; delete nothing, drop by.\n{GOOD}",
        f"SELECT s.town FROM {S} WHERE EXISTS (SELECT * FROM staging.subscription AS u WHERE u.urn = s.urn)",
        f"WITH a AS (SELECT s.town AS town FROM {S}) SELECT * FROM a",
        f"WITH a (town) AS (SELECT s.town FROM {S}) SELECT a.town FROM a",
        f"SELECT s.town, SUM(COUNT(*)) OVER (PARTITION BY s.town) AS n FROM {S} GROUP BY s.town",
        f"SELECT s.town, UPPER(s.town) + '!' AS n FROM {S} GROUP BY s.town",
        f"SELECT UPPER(s.town) AS town, COUNT(*) AS n FROM {S} GROUP BY UPPER(s.town)",
        f"SELECT s.town,\u00a0COUNT(*) AS n FROM {S} GROUP BY s.town",
    ],
)
def test_what_looks_wrong_and_is_right_is_taken(
    reports: Path, capsys: pytest.CaptureFixture[str], body: str
) -> None:
    assert told(reports, COMMENT + body, capsys) == ""


WRONG_COLUMN = (COMMENT + f"SELECT s.town,\n    s.nme AS n\nFROM {S}").encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "the file is empty: it begins like this: /* headwater, key ="),
        (b"\n \n", "the file is empty: it begins like this: /* headwater, key ="),
        (
            GOOD.encode(),
            "the file does not begin with a comment that sets its key: it begins like this: /* headwater",
        ),
        (
            b'/* headwater\nkey = ["town"]\n',
            "the comment at the beginning has no end: */ on a line of its own",
        ),
        (b'/* headwater\nkey = ["town"\n*/\nSELECT', "not TOML, as in key ="),
        (b'\n\n/* headwater\nkey = ["town"]\nkey = 1\n*/\nSELECT', "at line 5, column 8"),
        (
            b"/* headwater\n# /* \n*/ SELECT",
            "the comment at the beginning contains another one: remove the inner /*",
        ),
        (b'/* headwater\nkye = ["town"]\n*/\nSELECT', 'unknown property: found "kye"; did you mean "key"?'),
        (
            COMMENT.replace('"town"', '"twon"').encode() + GOOD.encode(),
            'key: found "twon"; did you mean "town"? allowed: town, n',
        ),
        (
            COMMENT.replace("*/", 'table = "school"\n*/').encode() + GOOD.encode(),
            'table: found "school"; allowed: a name that no entity has',
        ),
        (
            COMMENT.encode() + b"SELECT s.town,\n'caf\xe9' AS n",
            "line 5: not UTF-8, the byte 0xE9: save the file",
        ),
        (
            (COMMENT + GOOD).encode("utf-16"),
            "the file is UTF-16: save it as UTF-8 (in Management Studio: Save As",
        ),
        (b"\0" * 20, "line 1, column 1: a NUL character: the file is not text, or is damaged"),
        (
            COMMENT.encode() + b"-- x\n" * MAX_CHARACTERS,
            f"the file has 1,000,031 bytes: {MAX_CHARACTERS:,} characters are allowed",
        ),
        (
            COMMENT.encode() + b"-- x\n" * (MAX_CHARACTERS // 4),
            f"the file has 250,031 characters: {MAX_CHARACTERS:,}",
        ),
        (WRONG_COLUMN, 'line 5, column 7: column: found "nme"'),
        (WRONG_COLUMN.replace(b"\n", b"\r\n"), 'line 5, column 7: column: found "nme"'),
        (WRONG_COLUMN.replace(b"\n", b"\r"), 'line 5, column 7: column: found "nme"'),
        (b"\xef\xbb\xbf" + WRONG_COLUMN, 'line 5, column 7: column: found "nme"'),
    ],
)
def test_a_file_that_can_not_be_a_report_is_told_why(
    reports: Path, capsys: pytest.CaptureFixture[str], text: bytes, said: str
) -> None:
    assert said in told(reports, text, capsys)


def test_a_byte_order_mark_and_line_ends_of_windows_are_no_matter(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(reports, b"\xef\xbb\xbf" + (COMMENT + GOOD).replace("\n", "\r\n").encode(), capsys) == ""


def test_what_is_named_as_a_file_and_is_none_is_told(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports / "folder.sql").mkdir()
    assert main(["reports", "check"]) == REFUSED
    assert "folder.sql: this is not a file" in capsys.readouterr().err


def test_a_file_named_like_an_entity_or_with_other_letters_is_told(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports / "school.sql").write_text(COMMENT + GOOD)
    (reports / "My Report.sql").write_text(COMMENT + GOOD)
    assert main(["reports", "check"]) == REFUSED
    said = capsys.readouterr().err
    assert 'school.sql: table: found "school"; allowed: a name that no entity has' in said
    assert 'My Report.sql: table: found "My Report"; allowed: lower snake case' in said


def test_the_right_files_are_told_of_beside_the_wrong_one(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports / "good.sql").write_text(COMMENT + GOOD)
    (reports / "bad.sql").write_text("")
    assert main(["reports", "check"]) == REFUSED
    assert "good: a change leads to its rows by town" in capsys.readouterr().out
    assert main(["reports", "check", "good"]) == DONE


@pytest.mark.parametrize(
    ("body", "more", "said"),
    [
        (
            f"SELECT s.town, NULL AS n FROM {S}",
            "",
            "line 5, column 24: n is NULL without a type: CAST(NULL AS INT) AS n, or add to "
            'the comment at the beginning: types = { n = "INT" }',
        ),
        (f"SELECT s.town, NULL AS n FROM {S}", 'types = { n = "INT" }', ""),
        (f"SELECT s.town, NULL AS n FROM {S} UNION ALL SELECT s.town, s.urn FROM {S}", "", ""),
        (
            GOOD,
            'types = { n = "TEXT" }',
            'types, n: found "TEXT"; allowed: a type whose values can be compared',
        ),
    ],
)
def test_a_column_without_a_type_or_of_one_that_can_not_be_kept_is_told(
    reports: Path, capsys: pytest.CaptureFixture[str], body: str, more: str, said: str
) -> None:
    found = told(reports, f'/* headwater\nkey = ["town"]\n{more}\n*/\n{body}', capsys)
    assert said in found
    assert bool(said) == bool(found)
