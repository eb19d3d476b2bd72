"""The revisions of an entity as a plan sees them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from consumers.warehouse.port import Checkpoint, Revision, Transaction, Warehouse, revision_reader
from replay.fold import EventFilter
from replay.load import log_place
from replay.log.log_schemas import refuse_newer_versions
from replay.log.proof import LogPlace, place_of, proved
from replay.plan import Load, NewRevision, OldRevision, Target
from replay.ports import Ports
from schemas.catalog.entity import Entity

_EXPIRY = ("as of", "expires")


def revisions_of(ports: Ports, entity: Entity) -> list[Revision]:
    """Those that are there, by number."""
    return ports.retry.call(lambda: ports.warehouse.revisions(entity.name))


def live_of(revisions: Sequence[Revision]) -> Revision:
    """The one that readers see."""
    return next(each for each in revisions if each.state == "live")


def made_at(revision: Revision) -> datetime:
    """When it was made, in UTC. Its log was listed after that."""
    return datetime.fromisoformat(revision.created_at)


class Kept(NamedTuple):
    """A revision that is there. `expires` is when an as-of table may go; None: not by itself."""

    revision: Revision
    expires: datetime | None


def kept_revisions(warehouse: Warehouse, entity: str) -> list[Kept]:
    """Every revision of this entity, by number."""
    found = warehouse.revisions(entity)
    with warehouse.transaction() as transaction:
        return [Kept(each, _expiry(transaction, entity, each.number)) for each in found]


def expired(kept: Iterable[Kept], now: datetime) -> list[Revision]:
    """The as-of tables whose time is over."""
    return [
        each.revision
        for each in kept
        if each.revision.state == "as_of" and each.expires is not None and each.expires <= now
    ]


def expiry_place(entity: str, revision: int, expires: datetime) -> Checkpoint:
    """When an as-of table may go, kept as one of the revision's own checkpoints: it is dropped with them."""
    return Checkpoint(revision_reader(entity, revision), *_EXPIRY, expires.isoformat())


def _expiry(transaction: Transaction, entity: str, revision: int) -> datetime | None:
    saved = transaction.checkpoints(revision_reader(entity, revision))
    return next((datetime.fromisoformat(each.sequence) for each in saved if each[1:3] == _EXPIRY), None)


def unneeded(revisions: Sequence[Revision], target: Target) -> tuple[int, ...]:
    """What may go once the target is live: runs that were broken off, and what was retired earlier than the
    revision that is live now, to which a rollback would then go."""
    kept = target.number if isinstance(target, OldRevision) else None
    states = ("building", "retired")
    return tuple(each.number for each in revisions if each.state in states and each.number != kept)


def resume_or_start(
    ports: Ports, wanted: EventFilter, revisions: Sequence[Revision], *, fresh: bool = False
) -> tuple[Target, Load]:
    """A revision to fill with these events, and what of the log is still to be folded into it.

    The newest one that was broken off, if it is of this schema, the stream holds what came since it began,
    and every object that it has anything of is still in the log as it was; else, or if it is to be a `fresh`
    one, a new one. Raises ConfigurationError where the log has a newer schema version than is known here.
    """
    refuse_newer_versions(ports.log, wanted.entity)
    version, why = wanted.entity.schema.version, ""
    for each in [] if fresh else reversed(revisions):
        since = made_at(each) - ports.reach
        if each.state == "building" and each.schema_version == version and ports.stream_holds(since):
            saved = _saved(ports, wanted, each.number)
            if saved is None:
                continue
            if found := proved(saved, ports.log.objects()):
                return OldRevision(each.number, since), measured(ports, *found)
            why = why or f"the log is no longer what revision {each.number} was made from"
    ports.check_stream_holds(ports.now() - ports.reach)
    return NewRevision(ports.reach, why), measured(ports)


def _saved(ports: Ports, wanted: EventFilter, revision: int) -> LogPlace | None:
    """How far this revision has the log; None for one of other events, and for one that has nothing yet."""
    reader = revision_reader(wanted.entity.name, revision)
    place = log_place(reader, wanted, "")
    with ports.warehouse.transaction() as transaction:
        saved = transaction.checkpoints(reader)
    return next((place_of(each.sequence) for each in saved if each[:3] == place[:3]), None)


def measured(ports: Ports, after: str = "", place: LogPlace | None = None) -> Load:
    """The loading of the log from the object after this key on, and how much that is now."""
    objects = size = 0
    for item in ports.log.objects(after):
        objects += 1
        size += item.size
    return Load(after, objects, size, place or LogPlace())
