"""The revisions of an entity as a plan sees them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from consumers.warehouse.port import Checkpoint, Revision, Transaction, Warehouse, revision_reader
from replay.fold import EventFilter
from replay.load import log_checkpoint
from replay.log.log_schemas import refuse_newer_versions
from replay.log.proof import LogCheckpoint, parse_log_checkpoint, resume_point
from replay.plan import Load, NewRevision, OldRevision, Target
from replay.ports import Ports
from schemas.catalog.entity import Entity

_EXPIRY = ("as of", "expires")


def revisions_of(ports: Ports, entity: Entity) -> list[Revision]:
    """Return the existing revisions, by number."""
    return ports.retry.call(lambda: ports.warehouse.revisions(entity.name))


def live_of(revisions: Sequence[Revision]) -> Revision:
    """Return the revision that readers see."""
    return next(revision for revision in revisions if revision.state == "live")


def created_at(revision: Revision) -> datetime:
    """Return the time of its creation, in UTC. Its log was listed after that."""
    return datetime.fromisoformat(revision.created_at)


class KeptRevision(NamedTuple):
    """An existing revision. `expires` is when an as-of table may be dropped; None means by command only."""

    revision: Revision
    expires: datetime | None


def kept_revisions(warehouse: Warehouse, entity: str) -> list[KeptRevision]:
    """Return every revision of the entity, by number."""
    revisions = warehouse.revisions(entity)
    with warehouse.transaction() as transaction:
        return [
            KeptRevision(revision, _expiry(transaction, entity, revision.number)) for revision in revisions
        ]


def expired(kept: Iterable[KeptRevision], now: datetime) -> list[Revision]:
    """Return the as-of tables that expired at or before `now`."""
    return [
        revision
        for revision, expires in kept
        if revision.state == "as_of" and expires is not None and expires <= now
    ]


def expiry_checkpoint(entity: str, revision: int, expires: datetime) -> Checkpoint:
    """Return the record of when an as-of table may be dropped."""
    # Kept as one of the revision's own checkpoints: it needs no table, and goes when the revision is dropped.
    return Checkpoint(revision_reader(entity, revision), *_EXPIRY, expires.isoformat())


def _expiry(transaction: Transaction, entity: str, revision: int) -> datetime | None:
    for checkpoint in transaction.checkpoints(revision_reader(entity, revision)):
        if (checkpoint.stream, checkpoint.shard) == _EXPIRY:
            return datetime.fromisoformat(checkpoint.sequence)
    return None


def obsolete(revisions: Sequence[Revision], target: Target) -> tuple[int, ...]:
    """Return the revisions that may be dropped once the target is live.

    These are interrupted runs, and revisions retired earlier than the one that is live now, which is where a
    rollback of the target would go.
    """
    target_number = target.number if isinstance(target, OldRevision) else None
    return tuple(
        revision.number
        for revision in revisions
        if revision.state in ("building", "retired") and revision.number != target_number
    )


def resume_or_start(
    ports: Ports, wanted: EventFilter, revisions: Sequence[Revision], *, fresh: bool = False
) -> tuple[Target, Load]:
    """Return the revision to fill with these events, and how much of the log is left to fold into it.

    This is the newest interrupted revision if it has the current schema version, the stream still holds what
    arrived since it was created, and all that it has read of the log is unchanged; otherwise, or with
    `fresh`, a new revision. Raises ConfigurationError where the log has a newer schema version than this
    process knows.
    """
    refuse_newer_versions(ports.log, wanted.entity)
    version, why = wanted.entity.schema.version, ""
    for revision in [] if fresh else reversed(revisions):
        since = created_at(revision) - ports.reach
        same_version = revision.state == "building" and revision.schema_version == version
        if same_version and ports.stream_holds(since):
            saved = _saved(ports, wanted, revision.number)
            if saved is None:
                continue
            if point := resume_point(saved, ports.log.objects()):
                return OldRevision(revision.number, since), plan_load(ports, *point)
            why = why or f"the log is no longer what revision {revision.number} was made from"
    ports.check_stream_holds(ports.now() - ports.reach)
    return NewRevision(ports.reach, why), plan_load(ports)


def _saved(ports: Ports, wanted: EventFilter, revision: int) -> LogCheckpoint | None:
    """Return how far the revision has read the log; None if it has read nothing, or for another filter."""
    reader = revision_reader(wanted.entity.name, revision)
    name = log_checkpoint(reader, wanted, "")[:3]
    with ports.warehouse.transaction() as transaction:
        saved = transaction.checkpoints(reader)
    sequences = (checkpoint.sequence for checkpoint in saved if checkpoint[:3] == name)
    return next((parse_log_checkpoint(sequence) for sequence in sequences), None)


def plan_load(ports: Ports, after: str = "", checkpoint: LogCheckpoint | None = None) -> Load:
    """Return the stage that loads the log from the object after the key `after` on, with its present size."""
    objects = size = 0
    for item in ports.log.objects(after):
        objects += 1
        size += item.size
    return Load(after, objects, size, checkpoint or LogCheckpoint())
