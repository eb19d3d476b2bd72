"""Plans of a table as the sources had it at a past moment, shown in a view of its own."""

from datetime import UTC, datetime, timedelta

from replay.fold import EventFilter
from replay.plan import CleanUp, Follow, Plan, Publish, Stage
from replay.ports import Ports
from replay.revisions import expired, kept_revisions, live_of, resume_or_start, revisions_of
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plan_as_of(
    ports: Ports, entity: Entity, moment: datetime, *, fresh: bool = False, keep: timedelta | None = None
) -> Plan:
    """Plan a table of all events that occurred at or before the moment, folded by rank, sweeps by position.

    Only reads. The table stays until it is dropped, or for the time `keep`. The run also drops as-of tables
    of this entity that have expired. DynamoDB reports the time of a change in whole seconds, which limits how
    precise the moment can be. Raises ConfigurationError for a moment without a time zone, and as plan_rebuild
    does.
    """
    wanted = EventFilter(entity, microseconds(moment)).without_history
    revisions = revisions_of(ports, entity)
    target, load = resume_or_start(ports, wanted, revisions, fresh=fresh)
    # The stream is read as well: events just before a recent moment are not in the log yet.
    stages: list[Stage] = [load, Follow(), Publish(view_suffix(moment), ports.now() + keep if keep else None)]
    obsolete = ports.retry.call(lambda: expired(kept_revisions(ports.warehouse, entity.name), ports.now()))
    if obsolete:
        stages.append(CleanUp(tuple(revision.number for revision in obsolete)))
    return Plan(
        purpose=f"as of {moment.isoformat()}: a table",
        wanted=wanted,
        live=live_of(revisions).number,
        target=target,
        stages=tuple(stages),
    )


def microseconds(moment: datetime) -> int:
    """Return the microseconds since the epoch. Raises ConfigurationError for a moment without a time zone."""
    if moment.tzinfo is None:
        raise ConfigurationError("a moment needs a time zone, such as 2026-01-31T12:00:00Z")
    # Integer division of timedeltas is exact; moment.timestamp() would round to a float.
    return (moment - EPOCH) // timedelta(microseconds=1)


def view_suffix(moment: datetime) -> str:
    """Return the suffix of an as-of view's name: `20260131T120000Z`.

    Six digits of microseconds follow the seconds where they are not zero.
    """
    utc = moment.astimezone(UTC)
    fraction = f"{utc.microsecond:06}" if utc.microsecond else ""
    return f"{utc:%Y%m%dT%H%M%S}{fraction}Z"
