"""Plans of a rebuild with no downtime, and of a rollback (docs/architecture.md: an object of the log)."""

from replay.fold import EventFilter
from replay.plan import CleanUp, Compare, Follow, HandOver, OldRevision, Plan
from replay.ports import Ports
from replay.revisions import created_at, live_of, obsolete, resume_or_start, revisions_of
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError


def plan_rebuild(
    ports: Ports, entity: Entity, *, accept_differences: bool = False, fresh: bool = False
) -> Plan:
    """Plan to build the table from the log, beside the live one, and to swap. Only reads.

    Resumes a rebuild that was interrupted or refused, unless `fresh` is set, as long as the stream holds what
    arrived since it began and the log has not changed. Raises ConfigurationError when the stream keeps its
    records for less time than Firehose may buffer them.
    """
    revisions = revisions_of(ports, entity)
    target, load = resume_or_start(ports, EventFilter(entity), revisions, fresh=fresh)
    return Plan(
        purpose="rebuild",
        wanted=EventFilter(entity),
        live=live_of(revisions).number,
        target=target,
        stages=(
            load,
            Follow(),
            Compare(),
            HandOver(accept_differences),
            CleanUp(obsolete(revisions, target)),
        ),
    )


def plan_rollback(ports: Ports, entity: Entity, *, accept_differences: bool = False) -> Plan:
    """Plan to return to the revision that the last swap retired. Only reads.

    The stream is read from where the live consumers were at that swap. Raises ConfigurationError when there
    is no retired revision, or when the stream no longer holds what arrived since.
    """
    revisions = revisions_of(ports, entity)
    retired = [revision for revision in revisions if revision.state == "retired"]
    if not retired:
        raise ConfigurationError(f"entity {entity.name}: there is no retired revision to go back to")
    # The time of the swap is not recorded, but both revisions existed at it: the later creation is a lower
    # bound. `reach` is subtracted because the live consumers may have lagged behind at the swap.
    ports.check_stream_holds(max(created_at(retired[-1]), created_at(live_of(revisions))) - ports.reach)
    target = OldRevision(retired[-1].number, None)
    return Plan(
        purpose="rollback",
        wanted=EventFilter(entity),
        live=live_of(revisions).number,
        target=target,
        stages=(
            Follow(),
            Compare(),
            HandOver(accept_differences),
            CleanUp(obsolete(revisions, target)),
        ),
    )
