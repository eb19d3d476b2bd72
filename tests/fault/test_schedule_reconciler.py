"""The reconciler from any state, with lost calls, crashes, people who intervene, and RDS's seventh day."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from schedule_world import at, london

from headwater.schedule.calendar import Calendar
from headwater.schedule.override import TAG
from headwater.schedule.parts import Kind, Part, Power, State
from headwater.schedule.plan import QUIET
from headwater.schedule.reconciler import Round, reconcile
from headwater.schedule.simulated import CONSUMER, METRICS, REFRESHER, WAREHOUSE, SimulatedAccount
from schemas.errors import TransientError

ROUND = timedelta(minutes=5)
CALLERS = (CONSUMER, REFRESHER, METRICS)


class Crash(BaseException):
    """The function is killed."""


class FaultyAccount(SimulatedAccount):
    """A simulated account whose next steps fail: before they take effect, or after, or with a crash."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.faults: list[str] = []
        self.turned: list[tuple[str, bool, dict[str, Power]]] = []
        """Every step that took effect, with what the other parts were."""

    def turn(self, part: Part, *, on: bool) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost":
            raise TransientError("turning: no answer")
        if fault == "killed before":
            raise Crash
        powers = {name: machine.power for name, machine in self.machines.items()}
        super().turn(part, on=on)
        self.turned.append((part.id, on, powers))
        if fault == "answer lost":
            raise TransientError("turning: no answer")
        if fault == "killed after":
            raise Crash

    @property
    def powers(self) -> dict[str, Power]:
        return {name: machine.power for name, machine in self.machines.items()}


class Reconciliation(RuleBasedStateMachine):
    """Any state, any moment of two years, any faults."""

    @initialize(
        day=st.integers(0, 700),
        powers=st.lists(st.sampled_from([Power.ON, Power.OFF]), min_size=5, max_size=5),
    )
    def begin(self, day: int, powers: list[Power]) -> None:
        self.calendar = london()
        self.account = FaultyAccount(datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day))
        for machine, power in zip(self.account.machines.values(), powers, strict=True):
            machine.power, machine.since = power, self.account.now - QUIET

    @rule(rounds=st.integers(1, 400))
    def wait(self, rounds: int) -> None:
        self.account.advance(self.account.now + ROUND * rounds)

    @rule(faults=st.lists(st.sampled_from(["", "lost", "answer lost", "killed before", "killed after"])))
    def one_round(self, faults: list[str]) -> None:
        self.account.faults = faults
        with suppress(Crash):
            reconcile(self.account, self.calendar, self.account.now)
        self.account.faults = []

    @rule(name=st.sampled_from([WAREHOUSE, "workbench", *CALLERS]), on=st.booleans())
    def a_person_intervenes(self, name: str, on: bool) -> None:
        machine = self.account.machines[name]
        if machine.power is (Power.OFF if on else Power.ON):
            machine.turn(Power.ON if on else Power.OFF, self.account.now)

    @rule(name=st.sampled_from([WAREHOUSE, "workbench"]), hours=st.integers(-5, 400), bad=st.booleans())
    def someone_tags(self, name: str, hours: int, bad: bool) -> None:
        moment = self.account.now + timedelta(hours=hours)
        self.account.machines[name].tags[TAG] = "tonight" if bad else moment.isoformat()

    @rule()
    def someone_removes_the_tags(self) -> None:
        for machine in self.account.machines.values():
            machine.tags.clear()

    @precondition(lambda self: not self.account.machines[WAREHOUSE].tags)
    @rule()
    def all_is_as_it_should_be_within_two_hours(self) -> None:
        self.someone_removes_the_tags()
        for _ in range(24):
            change = self.calendar.next_change(self.account.now)
            if change is None or change.at - self.account.now < timedelta(hours=2, minutes=5):
                self.account.advance(self.account.now + timedelta(hours=2, minutes=10))
                continue
            break
        for _ in range(24):
            found = reconcile(self.account, self.calendar, self.account.now)
            assert found.problems == ()
            self.account.advance(self.account.now + ROUND)
        wanted = Power.ON if self.calendar.is_awake(self.account.now - ROUND) else Power.OFF
        assert {*self.account.powers.values()} == {wanted}

    @invariant()
    def nothing_uses_a_warehouse_that_the_schedule_turned_off(self) -> None:
        for name, on, powers in self.account.turned if hasattr(self, "account") else ():
            if on and name in CALLERS:
                assert powers[WAREHOUSE] is Power.ON
            if on and name in (REFRESHER, METRICS):
                assert powers[CONSUMER] is Power.ON
            if name == WAREHOUSE and not on:
                assert {powers[caller] for caller in CALLERS} == {Power.OFF}
            if name == CONSUMER and not on:
                assert {powers[REFRESHER], powers[METRICS]} == {Power.OFF}


TestReconciliation = Reconciliation.TestCase
TestReconciliation.settings = settings(deadline=None, stateful_step_count=30)


def rounds(account: SimulatedAccount, calendar: Calendar, number: int) -> list[Round]:
    found = []
    for _ in range(number):
        found.append(reconcile(account, calendar, account.now))
        account.advance(account.now + ROUND)
    return found


def test_to_sleep_first_the_schedules_then_the_consumer_then_the_warehouse() -> None:
    account = FaultyAccount(at("2026-06-01T20:00+01:00"))
    rounds(account, london(), 12)
    order = [name for name, _, _ in account.turned]
    assert order[:2] == [REFRESHER, METRICS]
    assert order[2] == "workbench"
    assert order[3:] == [CONSUMER, WAREHOUSE]


def test_the_warehouse_stops_only_when_no_call_can_be_running_any_more() -> None:
    account = FaultyAccount(at("2026-06-01T20:00+01:00"))
    calendar = london()
    while account.machines[WAREHOUSE].power is Power.ON:
        reconcile(account, calendar, account.now)
        account.advance(account.now + ROUND)
    since = account.machines[CONSUMER].since
    stopped = account.now - ROUND
    assert since is not None
    assert timedelta(minutes=15) <= stopped - since <= timedelta(minutes=20)


def test_to_wake_in_the_order_in_which_each_needs_the_other() -> None:
    account = FaultyAccount(at("2026-06-01T20:00+01:00"))
    rounds(account, london(), 24)
    account.turned.clear()
    account.advance(at("2026-06-02T07:00+01:00"))
    rounds(account, london(), 12)
    assert [name for name, _, _ in account.turned] == [
        *(WAREHOUSE, "workbench", CONSUMER, REFRESHER, METRICS)
    ]


def test_an_instance_that_rds_starts_after_seven_days_is_stopped_again() -> None:
    calendar = Calendar(london().zone, 420, 1200, frozenset({0}), frozenset({at("2026-06-08T12:00Z").date()}))
    account = FaultyAccount(at("2026-06-01T20:00+01:00"))
    rounds(account, calendar, 24)
    account.turned.clear()
    rounds(account, calendar, 12 * 24 * 13)
    assert [(name, on) for name, on, _ in account.turned] == [(WAREHOUSE, False)]
    assert account.machines[WAREHOUSE].power is Power.OFF


@pytest.mark.parametrize("power", [Power.BUSY, Power.BROKEN])
def test_a_warehouse_that_is_not_available_keeps_the_consumer_off(power: Power) -> None:
    account = FaultyAccount(at("2026-06-01T08:00+01:00"))
    for name in CALLERS:
        account.machines[name].power = Power.OFF
    account.machines[WAREHOUSE].power = power
    (found,) = rounds(account, london(), 1)
    assert account.turned == []
    assert found.pending == 4
    assert bool(found.problems) == (power is Power.BROKEN)


def test_a_host_that_is_gone_is_a_problem_and_holds_up_nothing() -> None:
    account = FaultyAccount(at("2026-06-01T20:00+01:00"))
    account.machines["workbench"].power = Power.BROKEN
    found = rounds(account, london(), 12)
    assert account.machines[WAREHOUSE].power is Power.OFF
    assert found[-1].problems == (
        "host workbench: its status is broken; correct it, the schedule goes on by itself then",
    )


def test_a_step_that_fails_holds_up_no_other_and_is_a_problem_of_this_round_alone() -> None:
    account = FaultyAccount(at("2026-06-01T20:00+01:00"))
    account.faults = ["lost"]
    first, second = rounds(account, london(), 2)
    assert first.problems == ("schedule refresher not turned off: turning: no answer",)
    assert second.problems == ()
    assert account.machines[METRICS].power is Power.OFF


def test_someone_who_is_faster_is_no_problem() -> None:
    account = FaultyAccount(at("2026-06-01T20:00+01:00"))
    state: State = account.state()
    account.machines[METRICS].turn(Power.OFF, account.now)
    account.state = lambda: state  # type: ignore[method-assign]
    (found,) = rounds(account, london(), 1)
    assert found.problems == ()
    assert [part.kind for part in state.parts if part.kind is Kind.SCHEDULE]


@pytest.mark.parametrize(
    ("tag", "awake", "problems"),
    [
        ("2026-06-01T23:00+01:00", True, 0),
        ("2026-06-01T21:30:00Z", True, 0),
        ("2026-06-01T20:59+01:00", False, 0),
        ("2026-06-01T23:00", True, 1),  # without an offset
        ("tomorrow", True, 1),
        ("", True, 1),
        ("2027-01-01T00:00Z", True, 1),  # too far ahead
    ],
)
def test_a_tag_keeps_all_on(tag: str, awake: bool, problems: int) -> None:
    account = FaultyAccount(at("2026-06-01T21:00+01:00"))
    account.machines["workbench"].tags[TAG] = tag
    (found,) = rounds(account, london(), 1)
    assert (found.awake, len(found.problems)) == (awake, problems)
    assert bool(account.turned) != awake
    assert not any(tag in problem for problem in found.problems if tag)
