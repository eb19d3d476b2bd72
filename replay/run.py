"""The execution of a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice

from consumers.warehouse.port import LIVE_READER, Checkpoint, Counts, Transaction
from replay.differences import Difference, differences
from replay.load import load
from replay.pending import PendingDifferences
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
from replay.progress import with_progress
from replay.revisions import created_at, expiry_checkpoint, live_of, revisions_of
from replay.tail import Tail
from replay.write import RevisionWriter
from schemas.errors import TransientError
from schemas.log.registry import LogRegistry

NAMED_DIFFERENCES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of a run.

    - `counts`: what became of the entity's events. One that could not win is not checked, so `dead` counts
      only the poison that mattered.
    - `events`: the events of any entity read from the log, by this run and the runs that it resumed.
    - `differences`: the first hundred rows that differ from the live table's; `more_differences` is true if
      there are others.
    - `swapped`: whether the revision is live now.
    - `view`: the name of the as-of view, if the plan makes one.
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
    """Execute the stages of a plan. Rows that differ end the run before the swap, unless they are accepted.

    After an error, as after a crash, readers see the same table as before (INV-8), and a rebuild that is run
    again resumes. Raises LogIntegrityError naming the damage of the log; ConflictError when another rebuild
    was swapped in first; ConfigurationError; TransientError when the retries are used up.
    """
    execution = _Run(plan, ports)
    for stage in plan.stages:
        execution.execute(stage)
        if execution.refused:
            break
    return execution.result()


class _Run:
    """The state that the stages of one run share."""

    def __init__(self, plan: Plan, ports: Ports) -> None:
        self._plan, self._ports = plan, ports
        self._entity, self._name = plan.wanted.entity, plan.wanted.entity.name
        target = plan.target if isinstance(plan.target, OldRevision) else self._create(plan.target)
        self._since = target.since
        self._writer = RevisionWriter(
            ports.warehouse,
            plan.wanted,
            LogRegistry(ports.registry, ports.log.document),
            revision=target.number,
            live=plan.live,
            retry=ports.retry,
        )
        self._events = 0
        self._differences: list[Difference] = []
        self._swapped = False
        self._view: str | None = None
        self.refused = False

    def _create(self, target: NewRevision) -> OldRevision:
        number = self._ports.retry.call(lambda: self._ports.warehouse.create_revision(self._name))
        # Read back: a later run that resumes this revision starts from the same time of creation.
        revisions = revisions_of(self._ports, self._entity)
        created = next(revision for revision in revisions if revision.number == number)
        return OldRevision(number, created_at(created) - target.reach)

    def result(self) -> RunResult:
        return RunResult(
            entity=self._name,
            revision=self._writer.revision,
            counts=self._writer.counts,
            events=self._events,
            differences=tuple(self._differences[:NAMED_DIFFERENCES]),
            more_differences=len(self._differences) > NAMED_DIFFERENCES,
            swapped=self._swapped,
            view=self._view,
        )

    def execute(self, stage: Stage) -> None:
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
        read = load(
            self._ports,
            self._writer,
            after=stage.after,
            total=stage.objects,
            progress=stage.checkpoint,
        )
        self._events = stage.checkpoint.events + read

    @cached_property
    def _tail(self) -> Tail:
        # Created at its first use, after the log is loaded: loading may take hours, and only then is it known
        # whether the stream still holds the rest.
        ports, writer = self._ports, self._writer
        if self._since:
            ports.check_stream_holds(self._since)
        with writer.transaction() as transaction:
            saved = transaction.checkpoints(writer.reader)
        return Tail(
            ports.stream,
            writer,
            since=self._since,
            saved=saved,
            retry=ports.retry,
            report=ports.report,
            clock=ports.clock,
        )

    def _compare(self) -> None:
        name, revision, live = self._name, self._writer.revision, self._plan.live
        self._pending = PendingDifferences(
            self._entity,
            live,
            self._tail,
            lambda transaction, key_hashes: transaction.rows_of(name, revision, key_hashes),
        )
        expected = self._ports.warehouse.rows(name, revision)
        actual = with_progress(self._ports.warehouse.rows(name, live), self._ports.report, self._ports.clock)
        for difference in differences(self._entity, expected, actual):
            self._pending.add(difference)

    def _hand_over(self, stage: HandOver) -> None:
        retry = self._ports.retry
        self._pending.wait_for_live(self._writer, retry)
        # Each attempt begins with the stream, so that little is left to read while the lock is held.
        retry.call(lambda: self._swap(stage.accept_differences), prepare=self._tail.read_to_tip)

    def _swap(self, accept_differences: bool) -> None:
        """Read as far as the live consumers, then swap or refuse, in one transaction that makes them wait."""
        sequences, applied = dict(self._tail.sequences), list[Counts]()
        try:
            with self._writer.transaction(exclusive=[self._name]) as transaction:
                self._catch_up(transaction, applied)
                self._decide(transaction, accept_differences)
        except TransientError:
            # The rollback undid what the tail had written, so the tail has to read it again.
            self._tail.rewind(sequences)
            # The answer to a COMMIT may be lost although it succeeded: ask which revision is live.
            if not self._is_live():
                raise
        self._writer.counts = sum(applied, self._writer.counts)
        self._swapped = not self.refused

    def _catch_up(self, transaction: Transaction, applied: list[Counts]) -> None:
        def write(frames: Sequence[bytes], checkpoints: Sequence[Checkpoint]) -> None:
            # Added to the writer's counts after the commit only: an attempt that is undone counts nothing.
            applied.append(self._writer.write_within(transaction, frames, checkpoints))

        live = self._tail.sequences_of(transaction.checkpoints(LIVE_READER))
        self._tail.catch_up(live, write, self._ports.time_box())

    def _is_live(self) -> bool:
        return live_of(revisions_of(self._ports, self._entity)).number == self._writer.revision

    def _decide(self, transaction: Transaction, accept_differences: bool) -> None:
        # One more than is shown, to know whether there are more; the rest is not counted under the lock.
        self._differences = list(islice(self._pending.confirmed(transaction), NAMED_DIFFERENCES + 1))
        self.refused = bool(self._differences) and not accept_differences
        if not self.refused:
            transaction.swap(self._name, self._writer.revision)

    def _publish(self, stage: Publish) -> None:
        # The expiry is saved first: a table that is published without one would stay for ever after a crash.
        if stage.expires:
            self._writer.write([], [expiry_checkpoint(self._name, self._writer.revision, stage.expires)])
        self._view = self._ports.retry.call(
            lambda: self._ports.warehouse.publish_as_of(self._name, self._writer.revision, stage.name)
        )

    def _clean_up(self, stage: CleanUp) -> None:
        for revision in stage.revisions:
            self._ports.retry.call(partial(self._ports.warehouse.drop_revision, self._name, revision))
