"""The types of a report's columns, as the database says them before and when it makes the table."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mssql_server import ON_SQL_SERVER
from report_shop import open_shop
from reports_world import CATALOG

from consumers.reporting.definition.outputs import Output, check_stored, remarks
from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.port import Warehouse
from schemas.errors import ConfigurationError

pytest_plugins = ("warehouse_engines",)


@pytest.fixture
def shop(connect: Callable[..., Warehouse]) -> Warehouse:
    return open_shop(connect)


def report(body: str, more: str = "", key: str = "id") -> Report:
    return read_report("typed", f'/* headwater\nkey = ["{key}"]\n{more}\n*/\n{body}', CATALOG)


def is_sqlite(warehouse: Warehouse) -> bool:
    return reports_in(warehouse).dialect.sql == "sqlite"


BODY = (
    "SELECT o.id, o.amount, o.price, o.day, N'abc' AS word, CAST(o.amount AS BIGINT) AS large, "
    "CAST(o.day AS DATETIME2(3)) AS moment FROM staging.purchase AS o"
)
TYPES = {
    "amount": "INT",
    "price": "DECIMAL(12,2)",
    "day": "DATE",
    "large": "BIGINT",
    "moment": "DATETIME2(3)",
}


def shown(outputs: list[Output]) -> dict[str, str]:
    return {each.name: each.type.replace("INTEGER", "INT").replace(", ", ",") for each in outputs}


def test_the_columns_have_the_types_that_the_database_says(shop: Warehouse) -> None:
    body = BODY.replace("CAST(o.day AS DATETIME2(3))", "o.day") if is_sqlite(shop) else BODY
    types = {**TYPES, "moment": "DATE"} if is_sqlite(shop) else TYPES
    found = shown(reports_in(shop).outputs(report(body)))
    assert list(found) == ["id", "amount", "price", "day", "word", "large", "moment"]
    assert {name: found[name].replace("NUMERIC", "DECIMAL") for name in types} == types


def test_a_type_that_the_file_gives_is_the_columns(shop: Warehouse) -> None:
    found = reports_in(shop).outputs(
        report(BODY.partition(", CAST")[0] + " FROM staging.purchase AS o", 'types = { amount = "BIGINT" }')
    )
    assert shown(found)["amount"] == "BIGINT"


@pytest.mark.parametrize("wanted", ["outputs", "refresh"])
def test_a_select_that_begins_with_a_cte_is_described_and_leaves_nothing(
    shop: Warehouse, wanted: str
) -> None:
    made = report(
        "WITH a AS (SELECT o.id AS id, o.amount AS n FROM staging.purchase AS o) SELECT a.id, a.n FROM a"
    )
    if wanted == "outputs":
        assert shown(reports_in(shop).outputs(made))["n"] == "INT"
    assert Refresher(reports_in(shop)).refresh(made).how == "whole"


TEXT = "SELECT o.id, CAST(o.id AS {}) AS body FROM staging.purchase AS o"


@ON_SQL_SERVER
@pytest.mark.parametrize(
    ("kind", "instead"),
    [("XML", "NVARCHAR(MAX)"), ("SQL_VARIANT", "NVARCHAR(4000)")],
)
def test_a_type_that_can_not_be_kept_is_refused_with_the_line_that_mends_it(
    shop: Warehouse, kind: str, instead: str
) -> None:
    """SQLite's columns have no types."""
    mended, refresher = f'types = {{ body = "{instead}" }}', Refresher(reports_in(shop))
    with pytest.raises(ConfigurationError) as caught:
        refresher.refresh(report(TEXT.format(kind)))
    assert str(caught.value).startswith(f"report typed: body is {kind}: its values can't be compared")
    assert str(caught.value).endswith(f"add to the comment at the beginning: {mended}")
    (standing,) = refresher.revisions()[0]
    assert standing.problem == str(caught.value)
    with pytest.raises(ConfigurationError, match="body is"):
        check_stored("typed", reports_in(shop).outputs(report(TEXT.format(kind))))
    assert refresher.refresh(report(TEXT.format(kind), mended)).how == "whole"


@pytest.mark.parametrize(
    "body",
    ["SELECT o.id, FROBNICATE(o.id) AS n FROM staging.purchase AS o", "SELECT r.id FROM dbo.nowhere AS r"],
)
def test_what_the_database_does_not_know_is_told_in_its_words(shop: Warehouse, body: str) -> None:
    """It looks at the SELECT alone, so that its words bring no value of a row (INV-7)."""
    with pytest.raises(ConfigurationError) as caught:
        reports_in(shop).outputs(report(body, 'refresh = "full every 5 minutes"'))
    said = str(caught.value).lower()
    if is_sqlite(shop):
        assert "needs sql server" in said or "sqlite reports: no such table" in said
    else:
        assert "report typed: the server reports: " in said
        assert "frobnicate" in said or "dbo.nowhere" in said


@ON_SQL_SERVER
def test_a_refresh_that_the_server_refuses_says_where_its_words_are(shop: Warehouse) -> None:
    often = report("SELECT r.id FROM dbo.nowhere AS r", 'refresh = "full every 5 minutes"')
    with pytest.raises(ConfigurationError, match=r"error 208: .*`headwater reports check typed --warehouse`"):
        Refresher(reports_in(shop)).refresh(often)


def test_a_unit_that_no_index_has_is_remarked() -> None:
    outputs = [Output("town", "NVARCHAR(MAX)"), Output("name", "NVARCHAR(MAX)"), Output("urn", "INT")]
    (said,) = remarks(["town", "urn"], outputs)
    assert said.startswith(
        "town is NVARCHAR(MAX), and no index can hold that: set maxLength on its field, or add to"
    )
    assert said.endswith('types = { town = "NVARCHAR(400)" }')
