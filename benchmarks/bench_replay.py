"""The log folded to the winners of one table, in one process.

The raw limit is what nobody can leave out: read the frames, each with its CRC-32, and let fastavro decode the
envelopes. Events, entity filter, schemas, ranks, key hashes and the fold are ours; so is, in the last figure,
the guard of the table that the winners are written to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from fastavro import parse_schema, schemaless_reader
from fastavro.schema import to_parsing_canonical_form

from consumers.collector import no_collection
from consumers.fold import fold
from consumers.warehouse.sqlite.warehouse import open_warehouse
from replay.fold import EventFilter, surviving_facts
from replay.load import Damages, chunks, load
from replay.log.in_memory import InMemoryLog, InMemoryStream
from replay.log.reader import LogStore
from replay.ports import Ports
from replay.retry_policy import RetryPolicy
from replay.write import RevisionWriter
from schemas.catalog.entity import Catalog, Entity
from schemas.catalog.loader import load_catalog
from schemas.event import BODY_START, ENVELOPE, Operation, encode_event, make_event
from schemas.keys import canonical_key
from schemas.log.frames import read_frames
from schemas.payload.codec import SchemaRegistry
from schemas.positions import dynamodb_position

EVENTS = 200_000
KEYS = 20_000
FRAMES_OF_AN_OBJECT = 20_000
ROUNDS = 5
EPOCH_2024 = 1_704_067_200_000_000
BARE_ENVELOPE = parse_schema(json.loads(to_parsing_canonical_form(ENVELOPE)))


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit. Seconds of the processor, since all but the last is
    pure."""
    catalog = load_catalog()
    entity = catalog.entity("subscription")
    rows = []
    for name, every in (("all of the log's events", 1), ("a quarter of the log's events", 4)):
        log = log_of(frames(catalog, EVENTS, KEYS, every))
        bare, ours = _fastest(partial(_bare, log), partial(_fold, log, entity, catalog.registry))
        rows += [
            (f"replay: fold of {name}", EVENTS / ours, bare / ours, "events/s"),
            ("  bare frames and envelopes", EVENTS / bare, 1.0, "events/s"),
        ]
    log = log_of(frames(catalog, EVENTS, KEYS))
    bare, written = _fastest(partial(_bare, log), partial(write, log, entity, catalog.registry), rounds=1)
    return [*rows, ("replay: the log written to SQLite", EVENTS / written, bare / written, "events/s")]


def frames(catalog: Catalog, events: int, keys: int, every: int = 1) -> Iterator[bytes]:
    """Updates of so many keys, with both images; one of `every` is a subscription, the rest are usage
    rows."""
    made = {
        name: [_images(catalog.entity(name), key) for key in range(keys)]
        for name in ("subscription", "platform_usage")
    }
    for number in range(events):
        name = "subscription" if number % every == 0 else "platform_usage"
        key, image = made[name][number * 7919 % keys]
        event = make_event(
            source="dynamodb:subscriptions",
            entity=name,
            operation=Operation.UPDATE,
            key=key,
            position=dynamodb_position("2024-05-01T10:00:00.000000", str(10**20 + number)),
            occurred_at=EPOCH_2024 + number * 1_000,
            schema_fingerprint=catalog.entity(name).schema.fingerprint,
            before=image,
            after=image,
        )
        yield encode_event(event)


def _images(entity: Entity, key: int) -> tuple[str, bytes]:
    given: dict[str, object] = {
        "subscription_id": f"sub-{key:08}",
        "urn": 100_000 + key,
        "plan": "premium",
        "price": Decimal("1249.50"),
        "seats": 30,
        "active": True,
        "starts_on": date(2024, 9, 1),
        "ends_on": date(2025, 8, 31),
        "updated_at": datetime(2024, 5, 1, 10, tzinfo=UTC),
        "settings": '{"colour":"green","notify":["head","bursar"]}',
        "platform": "maths",
        "month": date(2024, 5, 1),
        "active_users": 40,
        "minutes": 1_234,
        "score": Decimal("87.250"),
    }
    values = {field.name: given[field.name] for field in entity.schema.fields}
    return canonical_key([values[name] for name in entity.key]), entity.schema.encode(values)


def log_of(made: Iterator[bytes]) -> InMemoryLog:
    """Objects of bare frames, as Firehose writes them."""
    log = InMemoryLog()
    while some := b"".join(islice(made, FRAMES_OF_AN_OBJECT)):
        log.put(f"log/2024/05/01/10/{len(log.contents):06}", some)
    return log


def write(log: LogStore, entity: Entity, registry: SchemaRegistry) -> None:
    """Fold the log into a table of its own."""
    with TemporaryDirectory() as folder:
        warehouse = open_warehouse(f"sqlite:///{Path(folder) / 'bench.db'}", [entity])
        warehouse.ensure()
        ports = Ports(warehouse, log, InMemoryStream(), registry)
        revision = warehouse.create_revision(entity.name)
        load(
            ports,
            RevisionWriter(
                warehouse, EventFilter(entity), registry, revision=revision, live=1, retry=RetryPolicy()
            ),
        )
        warehouse.close()


def _fold(log: LogStore, entity: Entity, registry: SchemaRegistry) -> None:
    wanted, damages = EventFilter(entity), Damages()
    for chunk in chunks(log, wanted.needle, damages):
        with no_collection():  # as RevisionWriter does
            fold(surviving_facts(chunk.frames, wanted, registry).facts)
    damages.check()


def _bare(log: LogStore) -> None:
    for item in log.objects():
        for frame in read_frames(log.parts(item), item.key):
            assert isinstance(frame, bytes)
            body = BytesIO(frame)
            body.seek(BODY_START)
            schemaless_reader(body, BARE_ENVELOPE, None)


def _fastest(*works: Callable[[], None], rounds: int = ROUNDS) -> list[float]:
    """Processor seconds of each one's fastest round; they take turns, so that both meet the same machine."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for seconds, work in zip(taken, works, strict=True):
            began = time.process_time()
            work()
            seconds.append(time.process_time() - began)
    return list(map(min, taken))
