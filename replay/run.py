"""Carries out a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice

from consumers.warehouse.port import LIVE_READER, Checkpoint, Counts, Transaction
from replay.differences import Difference, differences
from replay.level import PendingDifferences
from replay.load import load
from replay.plan import (
    CleanUp,
    Compare,
    Follow,
    HandOver,
    Load,
    NewRevision,
    OldRevision,
    Plan,
    Publish,
    Stage,
)
from replay.ports import Ports
from replay.progress import watched
from replay.revisions import expiry_place, live_of, made_at, revisions_of
from replay.tail import Tail
from replay.write import RevisionWriter
from schemas.errors import TransientError
from schemas.log.registry import LogRegistry

NAMED_DIFFERENCES = 100


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to.

    `counts`: what became of the entity's events (one that could not win is not checked, so `dead` counts the
    poison that mattered). `events`: all that was read of the log, whatever the entity, by this run and by
    those that it goes on with. `differences`: rows that differ from the live table's, the first hundred;
    `more_differences`: there are others. `swapped`: the revision is the live one now. `view`: the name of the
    as-of view.
    """

    entity: str
    revision: int
    counts: Counts
    events: int
    differences: tuple[Difference, ...]
    more_differences: bool
    swapped: bool
    view: str | None


def run(plan: Plan, ports: Ports) -> RunResult:
    """Carry out the stages; rows that differ, where they are not accepted, end it before the swap.

    Raises LogIntegrityError naming what of the log is damaged; ConflictError when another rebuild was swapped
    in first; ConfigurationError; TransientError when patience is at its end. After any of them, as after a
    crash, readers see the table that they saw (INV-8), and a rebuild that is run again goes on where it was.
    """
    work = _Run(plan, ports)
    for stage in plan.stages:
        work.carry_out(stage)
        if work.refused:
            break
    return work.outcome()


class _Run:
    """The stages' common ground."""

    def __init__(self, plan: Plan, ports: Ports) -> None:
        self._plan, self._ports = plan, ports
        self._entity, self._name = plan.wanted.entity, plan.wanted.entity.name
        target = plan.target if isinstance(plan.target, OldRevision) else self._new(plan.target)
        self._since = target.since
        self._writer = RevisionWriter(
            ports.warehouse,
            plan.wanted,
            LogRegistry(ports.registry, ports.log.document),
            target.number,
            plan.live,
            ports.retry,
        )
        self._events = 0
        self._differences: list[Difference] = []
        self._swapped = False
        self._view: str | None = None
        self.refused = False

    def _new(self, target: NewRevision) -> OldRevision:
        number = self._ports.retry.call(lambda: self._ports.warehouse.create_revision(self._name))
        made = next(each for each in revisions_of(self._ports, self._entity) if each.number == number)
        return OldRevision(number, made_at(made) - target.reach)

    def outcome(self) -> RunResult:
        return RunResult(
            self._name,
            self._writer.revision,
            self._writer.counts,
            self._events,
            tuple(self._differences[:NAMED_DIFFERENCES]),
            len(self._differences) > NAMED_DIFFERENCES,
            self._swapped,
            self._view,
        )

    def carry_out(self, stage: Stage) -> None:
        match stage:
            case Load():
                self._load(stage)
            case Follow():
                self._tail.read_to_tip()
            case Compare():
                self._compare()
            case HandOver():
                self._hand_over(stage)
            case Publish():
                self._publish(stage)
            case CleanUp():
                self._clean_up(stage)

    def _load(self, stage: Load) -> None:
        read = load(self._ports, self._writer, after=stage.after, total=stage.objects, place=stage.place)
        self._events = stage.place.events + read

    @cached_property
    def _tail(self) -> Tail:
        """Made when the log is loaded: not before then is it known that the stream still has the rest."""
        ports, writer = self._ports, self._writer
        if self._since:
            ports.check_stream_holds(self._since)
        with writer.transaction() as transaction:
            saved = transaction.checkpoints(writer.reader)
        return Tail(
            ports.stream, writer, self._since, saved, ports.retry, report=ports.report, clock=ports.clock
        )

    def _compare(self) -> None:
        name, revision, live = self._name, self._writer.revision, self._plan.live
        self._suspects = PendingDifferences(
            self._entity,
            live,
            self._tail,
            lambda transaction, some: transaction.rows_of(name, revision, some),
        )
        expected = self._ports.warehouse.rows(name, revision)
        actual = watched(self._ports.warehouse.rows(name, live), self._ports.report, self._ports.clock)
        for each in differences(self._entity, expected, actual):
            self._suspects.add(each)

    def _hand_over(self, stage: HandOver) -> None:
        retry = self._ports.retry
        self._suspects.let_live_catch_up(self._writer, retry)
        retry.call(lambda: self._swap(stage.accept_differences), prepare=self._tail.read_to_tip)

    def _swap(self, accept_differences: bool) -> None:
        """One transaction: level with the live consumers, which wait meanwhile; then swapped, or refused."""
        places, applied = dict(self._tail.places), list[Counts]()
        try:
            with self._writer.transaction(exclusive=[self._name]) as transaction:
                self._level(transaction, applied)
                self._decide(transaction, accept_differences)
        except TransientError:
            self._tail.go_back(places)
            if not self._is_live():
                raise
        self._writer.counts = sum(applied, self._writer.counts)
        self._swapped = not self.refused

    def _level(self, transaction: Transaction, applied: list[Counts]) -> None:
        def write(frames: Sequence[bytes], checkpoints: Sequence[Checkpoint]) -> None:
            applied.append(self._writer.write_within(transaction, frames, checkpoints))

        live = self._tail.places_of(transaction.checkpoints(LIVE_READER))
        self._tail.level(live, write, self._ports.time_box())

    def _is_live(self) -> bool:
        """A commit whose answer was lost is not known to have failed."""
        return live_of(revisions_of(self._ports, self._entity)).number == self._writer.revision

    def _decide(self, transaction: Transaction, accept_differences: bool) -> None:
        self._differences = list(islice(self._suspects.counted(transaction), NAMED_DIFFERENCES + 1))
        self.refused = bool(self._differences) and not accept_differences
        if not self.refused:
            transaction.swap(self._name, self._writer.revision)

    def _publish(self, stage: Publish) -> None:
        if stage.expires:
            self._writer.write([], [expiry_place(self._name, self._writer.revision, stage.expires)])
        self._view = self._ports.retry.call(
            lambda: self._ports.warehouse.publish_as_of(self._name, self._writer.revision, stage.name)
        )

    def _clean_up(self, stage: CleanUp) -> None:
        for revision in stage.revisions:
            self._ports.retry.call(partial(self._ports.warehouse.drop_revision, self._name, revision))
