"""Parsing and checking of database URLs, without showing any part of them in a log, an error or a traceback.

Any parser takes part of a password with unescaped characters for a host, a port or a database, and quotes it
in its error. So an ambiguous URL is refused, and the errors of the parser are not passed on.
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
"""Options of pymssql.connect and of SQLAlchemy, with patterns of their values."""
SQLITE_OPTIONS: Mapping[str, str] = {
    # https://www.sqlite.org/uri.html, and the timeout of sqlite3.connect
    **dict.fromkeys(("cache", "immutable", "mode", "nolock", "uri", "vfs"), r"\w{1,30}"),
    "timeout": r"\d{1,6}(\.\d{1,6})?",
}

_SERVERS = ("mssql+pymssql",)
_UNREADABLE = "(a URL that can't be read)"
_HOST = re.compile(r"[A-Za-z0-9._:\\-]+")
_SECRET = re.compile("pass|pwd|secret|token|odbc|conn_properties", re.IGNORECASE)


def parse_url(url: str) -> URL:
    """Return the parts of a database URL. Raises ConfigurationError, which shows none of them."""
    parsed = _parsed(url)
    if parsed is None or not _is_plain(url, parsed):
        raise malformed()
    return parsed


def _parsed(url: str) -> URL | None:
    try:
        return make_url(url)
    except Exception:  # noqa: BLE001 - the text of any error may contain the password
        return None


def _is_plain(url: str, parsed: URL) -> bool:
    """Return whether the URL is unambiguous: it has no @ but the one before the host."""
    if parsed.get_backend_name() == "sqlite":
        # `sqlite://host/path` is a mistyped `sqlite:///path`.
        return not (parsed.username or parsed.password or parsed.host or parsed.port)
    return url.count("@") <= 1 and (not parsed.host or _HOST.fullmatch(parsed.host) is not None)


def malformed() -> ConfigurationError:
    """Return the error for a URL that can't be used; it shows no part of the URL."""
    return ConfigurationError(
        "HEADWATER_WAREHOUSE, or --warehouse, is not a database URL: sqlite:///path, or "
        "mssql+pymssql://user:password@host:1433/database, in which user and password have %40 for @, %3A "
        "for :, %2F for /, %3F for ?, %23 for # and %25 for %"
    )


def check_options(parsed: URL, allowed: Mapping[str, str]) -> None:
    """Raise ConfigurationError, which shows no part of the URL, unless its query options are allowed."""
    for name, value in parsed.query.items():
        # SQLAlchemy returns a tuple for an option that is given twice.
        if not isinstance(value, str) or not re.fullmatch(allowed.get(name, "(?!)"), value, re.DOTALL):
            raise ConfigurationError(
                "the warehouse's URL has an option after ? that is unknown, repeated, or has an invalid "
                f"value; the options are: {', '.join(sorted(allowed))}"
            )


def has_secret(url: str) -> bool:
    """Return whether a URL contains, or may contain, a password."""
    try:
        parsed = parse_url(url)
    except ConfigurationError:
        return True  # unreadable: the password may be anywhere in it
    return parsed.password is not None or any(map(_SECRET.search, parsed.query))


def printable_url(url: str) -> str:
    """Return the printable part of a URL: the file, or server and database."""
    try:
        parsed = parse_url(url)
    except ConfigurationError:
        return _UNREADABLE
    if parsed.get_backend_name() == "sqlite":
        return f"sqlite:///{parsed.database or ''}"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.host}{port}/{parsed.database}" if parsed.drivername in _SERVERS else _UNREADABLE


def backend_name(parsed: URL) -> str:
    """Return the backend that a URL names, quoted, or a phrase for one that SQLAlchemy does not know."""
    # A mistyped URL may have its password in this place.
    name = parsed.get_backend_name()
    return repr(name) if name in dialects.__all__ else "this kind of URL"
