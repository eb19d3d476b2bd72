"""`headwater up`: the whole flow on this machine, until it is stopped."""

from __future__ import annotations

import argparse
import signal
import threading
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from headwater.exit_codes import DONE, INTERRUPTED
from headwater.output import show_export, tell
from headwater.parsing import Commands, add_command, add_warehouse, port
from schemas.errors import ConfigurationError
from schemas.settings import Settings

if TYPE_CHECKING:
    from headwater.local.assembly import Local
    from headwater.polling.runtime import Runtime

DRAIN_SECONDS = 600.0  # a second Ctrl-C ends it sooner
STOPPING = "stopping: what is in flight is finished first (Ctrl-C once more stops at once)"

_DESCRIPTION = (
    "Makes the tables, buckets and streams that the entities need and runs the handlers that Lambda "
    "would run, until Ctrl-C (exit code 130) or SIGTERM (0). Prints a client's environment as "
    "`export` lines. With AWS_ENDPOINT_URL set it works there, with the tables in "
    "HEADWATER_WAREHOUSE. Else it brings an AWS and tables of its own, which are fresh and gone "
    "after the stop unless --state names a folder. With --state every change is on disk there "
    "before AWS answers it: a kill or a second Ctrl-C loses nothing that was answered, and the next "
    "start goes on from there (a power cut may lose the last seconds). Where anything is kept, a "
    "stop finishes first what is in flight; Ctrl-C once more stops at once. Report files that are "
    "added, changed or removed are taken up while it runs; entities and their versions at the next "
    "start. While a large file is loaded it says every few seconds how far that is. With "
    "--no-create, the default where AWS_ENDPOINT_URL is Amazon's, it uses what the templates in cfn/ "
    "own, and stops with an error if any of it is missing; without AWS_ENDPOINT_URL it then works in "
    "the AWS of your credentials. Functions that are deployed there take files from the same queue: "
    "either they or this process reads a file. Disable their event source mappings if it should be "
    "this process. Items that a table holds already at the first start are published as well, as by "
    "`headwater backfill`; a stop does not wait for that, and the next start goes on with it."
)


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "up",
        "run the whole flow on this machine",
        example="headwater up --port 4566 > headwater.env     # in another shell: . ./headwater.env",
        run=run,
        description=_DESCRIPTION,
    )
    parser.add_argument("--port", type=port, metavar="N", help="port of the embedded AWS (any free one)")
    add_warehouse(parser)
    parser.add_argument(
        "--no-create",
        action="store_true",
        help="use what is deployed in the environment's AWS, and create nothing",
    )
    parser.add_argument(
        "--no-backfill",
        action="store_true",
        help="do not publish the items that tables hold from before their streams were first read here",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="keep the embedded AWS and the tables here from the start on, for one `up` at a time",
    )


def run(options: argparse.Namespace) -> int:
    """Return exit code 130 after Ctrl-C, 0 after SIGTERM."""
    settings: Settings = options.settings
    if settings.endpoint or options.no_create:
        return _run_foreign(settings, options)
    return _run_embedded(settings, options)


def _run_foreign(settings: Settings, options: argparse.Namespace) -> int:
    from headwater.local.assembly import foreign
    from headwater.sources.dynamodb.backfill_poller import BACKFILL

    for name in ("port", "state"):
        if getattr(options, name) is not None:
            other = "AWS_ENDPOINT_URL is set" if settings.endpoint else "--no-create uses another"
            raise ConfigurationError(
                f"--{name} is for the embedded AWS, but {other}: leave out one of the two"
            )
    create = not options.no_create and not is_amazon(settings.endpoint)
    backfill = not options.no_backfill
    with (
        foreign(settings, create=create, backfill=backfill) as local,
        local.runtime as runtime,
        Stop() as stop,
    ):
        _announce(local)
        code = stop.wait(runtime)
        tell(STOPPING)
        runtime.drain(DRAIN_SECONDS, without=(BACKFILL,))
        return code


def is_amazon(endpoint: str | None) -> bool:
    """Return whether an endpoint belongs to AWS itself.

    https://docs.aws.amazon.com/general/latest/gr/rande.html
    """
    host = urlsplit(endpoint or "").hostname or ""
    return f".{host}".endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def _run_embedded(settings: Settings, options: argparse.Namespace) -> int:
    from headwater.embedded.state import StateFolder
    from headwater.local.assembly import embedded
    from headwater.sources.dynamodb.backfill_poller import BACKFILL

    warehouse = _kept_tables(settings, options)
    state = StateFolder(options.state) if options.state else None
    with (
        closing(state) if state else nullcontext(),
        embedded(settings, options.port, state, warehouse, backfill=not options.no_backfill) as local,
        local.runtime as runtime,
        Stop() as stop,
    ):
        if state and state.origin:
            tell(state.origin)
        _announce(local)
        code = stop.wait(runtime)
        if state:
            tell(STOPPING)
            runtime.drain(DRAIN_SECONDS, without=(BACKFILL,))
            state.stopped()
            tell(f"saved in {options.state}: `headwater up --state {options.state}` goes on from there")
        return code


def _kept_tables(settings: Settings, options: argparse.Namespace) -> str | None:
    """Return the URL of a warehouse that outlives this run; None if there is none.

    It is that of --warehouse, or a SQL Server that the environment names. An SQLite file in the environment
    belonged to another `up` and ended with it.
    """
    from consumers.warehouse.address import warehouse_url
    from consumers.warehouse.engines import engine_of

    named = settings.warehouse if options.warehouse else None
    if named is None and settings.warehouse and engine_of(settings.warehouse) == "mssql":
        named = settings.warehouse
    if named is None and settings.warehouse_secret:
        named = warehouse_url(settings)
    if named and options.state:
        raise ConfigurationError("--state keeps tables in SQLite: leave out --warehouse, or --state")
    return named


class Stop:
    """Turn Ctrl-C and SIGTERM into a request for a clean stop; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._code = DONE
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, runtime: Runtime) -> int:
        """Wait for the request and return the exit code. Raises what ended the runtime."""
        runtime.run_until(self._asked)
        return self._code

    def _ask(self, number: int, _frame: object) -> None:
        if self._asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._code = INTERRUPTED if number == signal.SIGINT else DONE
        self._asked.set()


def _announce(local: Local) -> None:
    """Print the environment on stdout, and on stderr how to use it."""
    from consumers.warehouse.address import URL, shows_password
    from headwater.sources.kinds import KINDS

    for name, value in local.exports.items():
        if name == URL and shows_password(value):
            tell(f"# set {URL} in the other shell as well: it holds a password and is not shown")
        else:
            show_export(name, value)
    place = local.here.settings.endpoint or f"AWS in {local.aws.region}"
    tell(f"Headwater is up at {place}. Run the lines above in another shell; then")
    for kind in KINDS.values():
        tell(f"  {kind.invitation(local.here.catalog)}")
    tell("Ctrl-C stops it; started with -v it also says what it does.")
