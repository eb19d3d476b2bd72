"""`headwater capacity`: what a rate of events needs on AWS, which limit it meets first, and what it costs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.exit_codes import DONE
from headwater.output import show, show_json, show_table, tell
from headwater.parsing import Commands, add_command, add_json
from schemas.errors import ConfigurationError
from schemas.refusals import refused

if TYPE_CHECKING:
    from headwater.capacity.assumptions import Assumptions
    from headwater.capacity.cost import Item
    from headwater.capacity.plan import Plan
    from headwater.prices import Prices


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "capacity",
        "compute what a rate of events needs on AWS, and which limit it meets first",
        example="headwater capacity --events-per-second 1000 --bytes 600 --assume entities=5",
        run=run,
        description=(
            "Calls nothing. Computes shards, functions, objects of the log and the size of the warehouse "
            "from AWS's limits and from measurements of this code, and lists the events a second at which "
            "each limit is met, with what to do then. Several rates give a table. Every figure that the "
            "result rests on can be replaced; --explain lists them with their origins (docs/cost.md)."
        ),
    )
    parser.add_argument(
        "--events-per-second", nargs="+", required=True, type=float, metavar="N", help="one or more rates"
    )
    parser.add_argument(
        "--bytes", required=True, type=int, metavar="N", help="bytes of an event as a frame of the log"
    )
    _add_figures(parser)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture of the limits as SVG")
    add_json(parser)


def _add_figures(parser: argparse.ArgumentParser) -> None:
    """Add the options of figures and prices."""
    parser.add_argument(
        "--assume",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="replace a figure; may be repeated",
    )
    parser.add_argument(
        "--assumptions", type=Path, metavar="FILE", help="a TOML file of figures; --assume wins over it"
    )
    parser.add_argument("--explain", action="store_true", help="list the figures with their origins as well")
    parser.add_argument(
        "--prices", type=Path, metavar="FILE", help="a TOML file of your prices; adds the cost of a month"
    )
    parser.add_argument(
        "--hours-off", type=float, default=0.0, metavar="SHARE", help="share of hours in which hosts are off"
    )


def run(options: argparse.Namespace) -> int:
    """Return exit code 0. Raises ConfigurationError."""
    from headwater.capacity.plan import plan
    from headwater.prices import read_prices

    _check(options)
    given = _given(options)
    prices = read_prices(options.prices) if options.prices else None
    plans = [plan(events, options.bytes, given) for events in options.events_per_second]
    if options.plot:
        _write_plot(options.plot, plans[0])
    if options.json:
        show_json(_document(plans, prices, options.hours_off))
        return DONE
    if len(plans) == 1:
        _show(plans[0])
    else:
        _show_rates(plans)
    if prices:
        _show_costs(plans, prices, options.hours_off)
    if options.explain:
        _show_figures(given)
    return DONE


def _check(options: argparse.Namespace) -> None:
    """Raises ConfigurationError for a load that cannot be."""
    from headwater.capacity.plan import LEAST_EVENTS, MOST_EVENTS
    from schemas.event import MAX_FRAME_BYTES
    from schemas.log.window import MIN_FRAME_BYTES

    for events in options.events_per_second:
        if not LEAST_EVENTS <= events <= MOST_EVENTS:
            raise refused("--events-per-second", events, f"a number above 0, at most {MOST_EVENTS:,.0f}")
    if not MIN_FRAME_BYTES <= options.bytes <= MAX_FRAME_BYTES:
        allowed = f"{MIN_FRAME_BYTES} to {MAX_FRAME_BYTES:,}: no frame is smaller, and none may be larger"
        raise refused("--bytes", options.bytes, allowed)
    if not 0 <= options.hours_off <= 1:
        raise refused("--hours-off", options.hours_off, "a share, 0 to 1")


def _given(options: argparse.Namespace) -> Assumptions:
    from headwater.capacity.assumptions import assuming, parse
    from schemas.catalog.files import read_toml

    values: dict[str, object] = {}
    if options.assumptions:
        try:
            values |= read_toml(options.assumptions)
            assuming(values)
        except ConfigurationError as error:
            raise ConfigurationError(f"{options.assumptions}: {error}") from None
    return assuming(values | dict(map(parse, options.assume)))


def _results(plan: Plan) -> dict[str, Any]:
    """Return the result of a rate by name; sizes in bytes."""
    from headwater.capacity.flow import DAY_SECONDS, YEAR_SECONDS

    flow = plan.flow
    return {
        "events_per_second": flow.events,
        "shards": flow.shards if plan.carried else None,
        "events_per_record": round(flow.record_events, 1),
        "records_per_second_fullest_shard": round(flow.fullest_records, 3),
        "consumers": flow.shards if plan.carried else None,
        "consumers_busy": round(flow.consumer_seconds, 3),
        "producers": flow.producers,
        "log_objects_per_day": round(flow.log_objects * DAY_SECONDS),
        "log_bytes_per_year": round(flow.log_bytes * YEAR_SECONDS),
        "staging_bytes_per_year": round(flow.staging_bytes * YEAR_SECONDS),
        "history_bytes_per_year": round(flow.history_bytes * YEAR_SECONDS),
        "warehouse_cores_busy": round(flow.database_seconds, 3),
    }


def _document(plans: Sequence[Plan], prices: Prices | None, hours_off: float) -> dict[str, Any]:
    flow = plans[0].flow
    return {
        "bytes": flow.size,
        "rates": [
            _results(plan)
            | {"limits": _limits(plan)}
            | ({"month": [item._asdict() for item in _items(plan, prices, hours_off)]} if prices else {})
            for plan in plans
        ],
        "currency": prices.currency if prices else None,
        "assumptions": {figure.name: figure.value for figure in _figures(flow.given)},
    }


def _limits(plan: Plan) -> list[dict[str, object]]:
    return [
        {
            "limit": met.limit.name,
            "met_at_events_per_second": met.at and _rounded(met.at),
            "used": round(met.used, 6),
            "remedy": met.limit.remedy,
        }
        for met in plan.limits
    ]


def _rounded(events: float) -> float:
    """Return a rate with three digits: what the figures bear."""
    return float(f"{events:.3g}")


def _show(plan: Plan) -> None:
    for name, value in _readable(_results(plan)).items():
        show(f"{name + ':':<34} {value}")
    if not plan.carried:
        show("No number of shards carries this: see the first limit that is exceeded.")
    elif plan.flow.shards > plan.flow.given.shards:
        show(f"These are more shards than the {plan.flow.given.shards:,.0f} of the stream: see the limits.")
    show("")
    rows = [(met.limit.name, _rate(met.at), f"{met.used:.1%}") for met in plan.limits]
    show_table(("limit", "met at events/s", "used"), rows)
    show("")
    for met in plan.limits[:1] + tuple(met for met in plan.limits[1:] if met.used > 1):
        show(f"{met.limit.name}: {met.limit.remedy}")


def _rate(events: float | None) -> str:
    return "never" if events is None else f"{_rounded(events):,.0f}"


def _readable(results: Mapping[str, Any]) -> dict[str, str]:
    return {name.replace("_", " "): _text(name, value) for name, value in results.items()}


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "none suffices"
    if "bytes" not in name:
        return f"{value:,}"
    power = min(5, max(0, (len(f"{value:.0f}") - 1) // 3))
    return f"{value / 1000**power:,.3g} {('bytes', 'KB', 'MB', 'GB', 'TB', 'PB')[power]}"


def _show_rates(plans: Sequence[Plan]) -> None:
    columns = (
        "events/s",
        "shards",
        "events/record",
        "cores",
        "objects/day",
        "log/year",
        "tables/year",
        "first limit",
    )
    rows = []
    for plan in plans:
        found = _results(plan)
        tables = found["staging_bytes_per_year"] + found["history_bytes_per_year"]
        rows.append(
            (
                f"{plan.flow.events:,.12g}",
                _text("shards", found["shards"]),
                f"{found['events_per_record']:,}",
                f"{found['warehouse_cores_busy']:,.2f}",
                f"{found['log_objects_per_day']:,}",
                _text("bytes", found["log_bytes_per_year"]),
                _text("bytes", tables),
                _exceeded(plan),
            )
        )
    show_table(columns, rows)
    show("")
    first = plans[0].first
    show(f"The first limit at this size of event: {first.limit.name}, at {_rate(first.at)} events/s.")
    show(first.limit.remedy)


def _exceeded(plan: Plan) -> str:
    """Return the limits that the rate exceeds, the first one first."""
    names = [met.limit.name for met in plan.limits if met.at is not None and met.at < plan.flow.events]
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0] if names else "within all"


def _items(plan: Plan, prices: Prices, hours_off: float) -> list[Item]:
    from headwater.capacity.cost import items

    return items(plan.flow, prices, hours_off)


def _show_costs(plans: Sequence[Plan], prices: Prices, hours_off: float) -> None:
    for plan in plans:
        bill = _items(plan, prices, hours_off)
        rows = [(item.key, f"{item.quantity:,.3f}", f"{item.cost:,.2f}", item.unit) for item in bill]
        show("")
        show(
            f"A month at {plan.flow.events:,.12g} events/s, by the prices of your file, in {prices.currency}:"
        )
        show_table(("price", "quantity", "cost", "for each"), rows)
        show(f"together {sum(item.cost for item in bill):,.2f} {prices.currency}")


def _figures(given: Assumptions) -> list[Any]:
    from headwater.capacity.assumptions import described

    return described(given)


def _show_figures(given: Assumptions) -> None:
    show("")
    rows = [
        (each.name, f"{each.value:,.12g}", f"{each.unit} {each.meaning}", each.origin)
        for each in _figures(given)
    ]
    show_table(("figure", "value", "meaning", "origin"), rows)


def _write_plot(file: Path, plan: Plan) -> None:
    from headwater.capacity.plot import picture

    bars = [(met.limit.name, met.at) for met in plan.limits]
    title = f"Events a second at which each limit is met, events of {plan.flow.size:,} bytes"
    try:
        file.write_text(picture(title, bars, plan.flow.events), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--plot {file}: cannot be written: {error.strerror}") from error
    tell(f"wrote {file}")
