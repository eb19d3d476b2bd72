"""What the sources said at a moment, as known today, in a view of its own."""

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
    """All events that occurred at or before the moment, folded by rank, sweeps by position. Reads only.

    The stream is read, too: a moment just gone is not in the log yet. DynamoDB tells whole seconds. The table
    stays until it is dropped, or for as long as it is to be kept: as-of tables of this entity whose time is
    over go with this run. Raises ConfigurationError for a moment without a time zone, and as plan_rebuild
    does.
    """
    wanted = EventFilter(entity, microseconds(moment)).rows_alone
    revisions = revisions_of(ports, entity)
    target, load = resume_or_start(ports, wanted, revisions, fresh=fresh)
    stages: list[Stage] = [load, Follow(), Publish(view_suffix(moment), ports.now() + keep if keep else None)]
    gone = ports.retry.call(lambda: expired(kept_revisions(ports.warehouse, entity.name), ports.now()))
    if gone:
        stages.append(CleanUp(tuple(each.number for each in gone)))
    title = f"as of {moment.isoformat()}: a table"
    return Plan(title, wanted, live_of(revisions).number, target, tuple(stages))


def microseconds(moment: datetime) -> int:
    """Since the epoch. Raises ConfigurationError for a moment without a time zone."""
    if moment.tzinfo is None:
        raise ConfigurationError("a moment needs a time zone: 2026-01-31T12:00:00Z")
    return (moment - EPOCH) // timedelta(microseconds=1)


def view_suffix(moment: datetime) -> str:
    """`20260131T120000Z`; the six digits of the microseconds follow the seconds where they are not zero."""
    utc = moment.astimezone(UTC)
    fraction = f"{utc.microsecond:06}" if utc.microsecond else ""
    return f"{utc:%Y%m%dT%H%M%S}{fraction}Z"
