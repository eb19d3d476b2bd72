"""The model of capacity: more load never needs less, and what it plans carries the load."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.capacity.assumptions import Assumptions, assuming
from headwater.capacity.cost import usage
from headwater.capacity.flow import Flow
from headwater.capacity.limits import LIMITS, OF_SHARDS
from headwater.capacity.plan import plan, smallest
from headwater.capacity.routing import fullest_share
from headwater.prices import UNITS

EVENTS = st.floats(0.01, 2e6)
BYTES = st.integers(18, 1_000_000)
GIVEN = st.sampled_from(
    [assuming({"entities": entities, "history": history}) for entities in (1, 4) for history in (0, 1)]
)
GROWING = (
    *("fullest_bytes", "fullest_records", "consumer_seconds", "producers", "log_bytes", "log_objects"),
    *("database_seconds", "staging_bytes", "history_bytes", "batches"),
)
ROUNDING = 1 + 1e-9


def loads(flow: Flow) -> list[float]:
    return [getattr(flow, name) for name in GROWING]


def shards(events: float, size: int, figures: Assumptions) -> float:
    flow, carried = smallest(events, size, figures)
    return flow.shards if carried else float("inf")


@given(EVENTS, EVENTS, BYTES, GIVEN)
def test_more_events_need_no_less(one: float, other: float, size: int, figures: Assumptions) -> None:
    low, high = sorted((one, other))
    assert shards(low, size, figures) <= shards(high, size, figures)
    through, _ = smallest(low, size, figures)
    more = Flow(high, size, through.shards, through.share, figures)
    assert all(a <= b * ROUNDING for a, b in zip(loads(through), loads(more), strict=True))


@given(EVENTS, BYTES, BYTES, GIVEN)
def test_larger_events_need_no_less(events: float, one: int, other: int, figures: Assumptions) -> None:
    low, high = sorted((one, other))
    assert shards(events, low, figures) <= shards(events, high, figures)
    through, _ = smallest(events, low, figures)
    more = Flow(events, high, through.shards, through.share, figures)
    assert all(a <= b * ROUNDING for a, b in zip(loads(through), loads(more), strict=True))


@given(EVENTS, BYTES, GIVEN)
def test_the_planned_shards_carry_the_load_within_the_planned_share(
    events: float, size: int, figures: Assumptions
) -> None:
    flow, carried = smallest(events, size, figures)
    if not carried:
        assert flow.shards == figures.shards
        return
    # By sums of our own: all events, over all shards.
    kept = figures.utilisation * flow.shards
    assert events * size <= kept * figures.shard_write_bytes
    assert events * size * figures.readers <= kept * figures.shard_read_bytes
    assert events / flow.aggregate_events <= kept * figures.shard_write_records
    assert events <= kept * flow.shard_rate
    assert all(limit.planned(flow) <= 1 for limit in OF_SHARDS)


@settings(max_examples=20)  # each looks for all limits
@given(EVENTS, BYTES, GIVEN)
def test_nothing_is_zero(events: float, size: int, figures: Assumptions) -> None:
    found = plan(events, size, figures)
    flow = found.flow
    assert flow.shards >= 1
    assert flow.producers >= 1
    assert flow.record_events >= 1
    assert 0 < flow.share <= 1
    assert all(value > 0 for name, value in zip(GROWING, loads(flow), strict=True) if name != "history_bytes")
    assert all(met.used > 0 for met in found.limits)
    assert all(met.at is None or met.at > 0 for met in found.limits)
    assert usage(flow).keys() == UNITS.keys()
    assert all(quantity > 0 for quantity in usage(flow).values())


@settings(max_examples=20)
@given(BYTES, GIVEN)
def test_a_load_below_every_limit_is_carried_within_them_and_one_above_exceeds_the_first(
    size: int, figures: Assumptions
) -> None:
    first = plan(1, size, figures).first
    assert first.at is not None
    below = plan(first.at * 0.99, size, figures)
    assert below.carried
    assert below.flow.shards <= figures.shards
    assert all(limit.planned(below.flow) <= 1 for limit in LIMITS)
    above = plan(first.at * 1.01, size, figures)
    exceeded = [limit for limit in LIMITS if limit.planned(above.flow) > 1]
    assert not above.carried or above.flow.shards > figures.shards or first.limit in exceeded


@given(BYTES, st.integers(1, 40))
def test_ten_times_the_bytes_of_the_log_for_ten_times_the_events(size: int, tens: int) -> None:
    one, ten = (smallest(tens * rate, size, Assumptions())[0] for rate in (1, 10))
    for name in ("log_bytes", "staging_bytes", "history_bytes"):
        assert abs(getattr(ten, name) / getattr(one, name) - 10) < 1e-9


@given(st.integers(1, 600), st.integers(1, 30))
def test_the_fullest_shard_has_at_least_its_share(number: int, entities: int) -> None:
    assert 1 / number <= fullest_share(number, entities) <= 1
