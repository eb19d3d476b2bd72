"""No part of a warehouse's URL gets out, whatever a parser makes of it (INV-7's neighbour: no secrets)."""

import traceback

import pytest
from consumers_world import ENTITIES
from hypothesis import given
from hypothesis import strategies as st

from consumers.warehouse.address import from_command_line, shows_password, warehouse_url
from consumers.warehouse.engines import engine_of, open_warehouse, sqlite_file
from consumers.warehouse.urls import parse_url, printable_url
from headwater.cli import main
from headwater.exit_codes import REFUSED
from schemas.errors import ConfigurationError
from schemas.settings import Settings

SECRET = "w0rdOfMine"
ODD = [
    f"mssql+pymssql://sa:p@ss:{SECRET}@host/db",
    f"mssql+pymssql://sa:p@{SECRET}@host/db",
    f"mssql+pymssql://sa:p@ss/{SECRET}@host/db",
    f"mssql+pymssql://sa:p@ss?timeout={SECRET}@host/db",
    f"mssql+pymssql://sa:p@ss#{SECRET}@host/db",
    f"mssql+pymssql://sa:{SECRET}",
    f"mssql+pymssql://host:{SECRET}/db",
    f"mssql+pymssql://sa@host/db?{SECRET}=1",
    f"mssql+pymssql://sa@host/db?timeout={SECRET}",
    f"mssql+pymssql://sa@host/db?timeout=1&timeout={SECRET}",
    f"mssql+pymssql://sa@host/db?tds_version={SECRET}",
    f"mssql+pymssql://sa@host/db?encryption={SECRET}",
    f"mssql+pymssql://{SECRET}+x{SECRET} y/db",
    f"mssql+pyodbc:///?odbc_connect=DRIVER=x;UID=sa;PWD={SECRET}",
    f"mssql+pymssql://[{SECRET}/db",
    f"Server=tcp:host,1433;Database=db;Uid=sa;Pwd={SECRET};",
    f"{SECRET}://host/db",
    f"sqlite://sa:{SECRET}@host/db",
    f"sqlite:///db?timeout={SECRET}",
    f"sqlite:///db?password={SECRET}",
    SECRET,
]


@pytest.mark.parametrize("url", ODD)
def test_what_refuses_a_url_shows_no_part_of_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_warehouse(url, ENTITIES).ensure()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in printable_url(url)
    chain = caught.value.__context__ or caught.value.__cause__
    assert chain is None


@pytest.mark.parametrize("url", ODD)
@pytest.mark.parametrize("verbose", [[], ["-v"]])
def test_no_command_shows_it(
    url: str, verbose: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWATER_WAREHOUSE", url)
    assert main(["warehouse", "check", *verbose]) == REFUSED
    monkeypatch.delenv("HEADWATER_WAREHOUSE")
    assert main(["warehouse", "check", *verbose, "--warehouse", url]) == REFUSED
    for arguments in (["warehouse", "check", url], ["warehouse", url], ["tables", "--limit", url]):
        with pytest.raises(SystemExit):
            main(arguments)
    said = capsys.readouterr()
    assert url == SECRET or SECRET not in said.out + said.err


@pytest.mark.parametrize(
    "url",
    [
        f"mssql+pymssql://sa@host/db?password={SECRET}",
        f"mssql+pymssql://sa@host/db?conn_properties=x{SECRET}",
        f"mssql+pymssql://sa:{SECRET}@host/db",
        f"mssql+pymssql://sa:p@ss:{SECRET}@host/db",
    ],
)
def test_a_url_that_may_hold_a_password_is_neither_shown_nor_taken_from_a_command_line(url: str) -> None:
    assert shows_password(url)
    with pytest.raises(ConfigurationError) as caught:
        from_command_line(url, {})
    assert SECRET not in str(caught.value)
    assert SECRET not in printable_url(url)


def test_a_url_without_a_password_is_read_as_before() -> None:
    url = "mssql+pymssql://sa@server.example:1433/db?encryption=off&timeout=60"
    assert (shows_password(url), engine_of(url)) == (False, "mssql")
    assert printable_url(url) == "server.example:1433/db"
    assert parse_url("mssql+pymssql://sa:p%40%3A%2F@server\\SQLEXPRESS/db").password == "p@:/"
    assert str(sqlite_file("sqlite:////home/a@b/c@d.db")) == "/home/a@b/c@d.db"


def test_a_url_in_the_place_of_a_secrets_name_is_not_shown() -> None:
    for name in (ODD[0], f"mssql+pymssql://sa:{SECRET}@host/db", ODD[15]):
        with pytest.raises(ConfigurationError, match="HEADWATER_WAREHOUSE_SECRET") as caught:
            warehouse_url(Settings(warehouse_secret=name))
        assert SECRET not in str(caught.value)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.sampled_from(["@", "@host/db", ""]))
def test_whatever_a_password_is_a_url_is_refused_or_read_and_never_shown(password: str, end: str) -> None:
    url = f"mssql+pymssql://sa:{SECRET}{password}{SECRET}{end}"
    told = ""
    try:
        open_warehouse(url, ENTITIES).close()
    except ConfigurationError as error:
        told = "".join(traceback.format_exception(error))
    assert SECRET not in told
    assert SECRET not in printable_url(url)
