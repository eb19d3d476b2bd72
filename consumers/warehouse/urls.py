"""Database URLs, no part of which gets into a log, an error or a traceback: the one place that reads them.

A password that is written without its escapes is taken for a host, a port or a database by any parser, whose
errors quote it. So a URL that may be read in two ways is refused, and what a parser raises is not passed on.
"""

import re
from collections.abc import Mapping

from sqlalchemy import dialects
from sqlalchemy.engine import URL, make_url

from schemas.errors import ConfigurationError

MSSQL_OPTIONS: Mapping[str, str] = {
    "appname": r"[\w .-]{1,30}",
    "charset": r"[\w-]{1,30}",
    "conn_properties": r".*",
    "encryption": r"require|request|off",
    "login_timeout": r"\d{1,6}",
    "password": r".*",
    "plugin": r"\w{1,30}",
    "read_only": r"\w{1,5}",
    "tds_version": r"7\.[0-4]|8\.0",
    "timeout": r"\d{1,6}",
    "user": r".*",
}
"""Of pymssql.connect, and SQLAlchemy's own, each with the values that it takes."""
SQLITE_OPTIONS: Mapping[str, str] = {
    **dict.fromkeys(("cache", "immutable", "mode", "nolock", "uri", "vfs"), r"\w{1,30}"),
    "timeout": r"\d{1,6}(\.\d{1,6})?",
}

_SERVERS = ("mssql+pymssql",)
_UNREADABLE = "(a URL that can't be read)"
_HOST = re.compile(r"[A-Za-z0-9._:\\-]+")
_SECRET = re.compile("pass|pwd|secret|token|odbc|conn_properties", re.IGNORECASE)


def parse_url(url: str) -> URL:
    """The parts of a URL of SQLite or of a server. Raises ConfigurationError, which shows none of them."""
    parsed = _parsed(url)
    if parsed is None or not _is_plain(url, parsed):
        raise malformed()
    return parsed


def _parsed(url: str) -> URL | None:
    try:
        return make_url(url)
    except Exception:  # noqa: BLE001 - whatever it is, its text may hold the password
        return None


def _is_plain(url: str, parsed: URL) -> bool:
    """Whether there is one way to read it: the only @ stands before the host."""
    if parsed.get_backend_name() == "sqlite":
        return not (parsed.username or parsed.password or parsed.host or parsed.port)
    return url.count("@") <= 1 and (not parsed.host or _HOST.fullmatch(parsed.host) is not None)


def malformed() -> ConfigurationError:
    """What is told of a URL that can't be used."""
    return ConfigurationError(
        "HEADWATER_WAREHOUSE, or --warehouse, is not a database URL: sqlite:///path, or "
        "mssql+pymssql://user:password@host:1433/database, in which user and password have %40 for @, %3A "
        "for :, %2F for /, %3F for ?, %23 for # and %25 for %"
    )


def check_options(parsed: URL, allowed: Mapping[str, str]) -> None:
    """Raise ConfigurationError, which shows no part of the URL, unless what follows its ? is among these."""
    for name, value in parsed.query.items():
        if not isinstance(value, str) or not re.fullmatch(allowed.get(name, "(?!)"), value, re.DOTALL):
            raise ConfigurationError(
                "the warehouse's URL has an option after ? that is unknown, given twice, or of a wrong "
                f"value; there are: {', '.join(sorted(allowed))}"
            )


def has_secret(url: str) -> bool:
    """Whether this holds, or may hold, a password."""
    try:
        parsed = parse_url(url)
    except ConfigurationError:
        return True
    return parsed.password is not None or any(map(_SECRET.search, parsed.query))


def shown(url: str) -> str:
    """What may be told of a URL: the file, or server and database."""
    try:
        parsed = parse_url(url)
    except ConfigurationError:
        return _UNREADABLE
    if parsed.get_backend_name() == "sqlite":
        return f"sqlite:///{parsed.database or ''}"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.host}{port}/{parsed.database}" if parsed.drivername in _SERVERS else _UNREADABLE


def named(parsed: URL) -> str:
    """The database that the URL names, where that is one that people use: it may be anything."""
    name = parsed.get_backend_name()
    return repr(name) if name in dialects.__all__ else "a URL that begins so"
