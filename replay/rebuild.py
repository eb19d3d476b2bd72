"""Plans of a rebuild with no downtime, and of the way back (docs/architecture.md: an object of the log)."""

from replay.fold import EventFilter
from replay.plan import CleanUp, Compare, Follow, HandOver, OldRevision, Plan
from replay.ports import Ports
from replay.revisions import live_of, made_at, resume_or_start, revisions_of, unneeded
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError


def plan_rebuild(
    ports: Ports, entity: Entity, *, accept_differences: bool = False, fresh: bool = False
) -> Plan:
    """Make the table again from the log, beside the live one, and swap. Reads only.

    Unless it is to be `fresh`, goes on with a rebuild that was broken off or refused, as long as the stream
    holds what came since it began and the log is what it was then. Raises ConfigurationError when the stream
    keeps its records for less time than Firehose may hold them back.
    """
    revisions = revisions_of(ports, entity)
    target, load = resume_or_start(ports, EventFilter(entity), revisions, fresh=fresh)
    ending = Compare(), HandOver(accept_differences), CleanUp(unneeded(revisions, target))
    return Plan(
        "rebuild",
        EventFilter(entity),
        live_of(revisions).number,
        target,
        (load, Follow(), *ending),
    )


def plan_rollback(ports: Ports, entity: Entity, *, accept_differences: bool = False) -> Plan:
    """Go back to the revision that the last swap retired: it reads on from where the live consumers were
    then.

    Raises ConfigurationError when there is none, or when the stream no longer holds what came since.
    """
    revisions = revisions_of(ports, entity)
    retired = [each for each in revisions if each.state == "retired"]
    if not retired:
        raise ConfigurationError(f"entity {entity.name}: there is no retired revision to go back to")
    # Both were there when one gave way to the other; the live consumers may have been behind.
    ports.check_stream_holds(max(made_at(retired[-1]), made_at(live_of(revisions))) - ports.reach)
    target = OldRevision(retired[-1].number, None)
    ending = Compare(), HandOver(accept_differences), CleanUp(unneeded(revisions, target))
    return Plan("rollback", EventFilter(entity), live_of(revisions).number, target, (Follow(), *ending))
