"""The log folded to the winners of one table, in one process.

The raw limit is what nobody can leave out: cut the frames by their length, check each CRC-32, let fastavro
decode the envelope. Entity filter, schemas, ranks, key hashes and the fold are ours; so is, in the last
figure, the guard of the table that the winners are written to.
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
from zlib import crc32

from fastavro import parse_schema, schemaless_reader
from fastavro.schema import to_parsing_canonical_form

from consumers.fold import fold
from consumers.warehouse.sqlite import open_warehouse
from replay.fold import Wanted, surviving_facts
from replay.in_memory import InMemoryLog, InMemoryStream
from replay.load import Damages, chunks, load
from replay.log import LogStore
from replay.patience import Patience
from replay.ports import Ports
from replay.write import RevisionWriter
from schemas.codec import Registry
from schemas.entity import Catalog, Entity
from schemas.event import ENVELOPE, Operation, encode_event, make_event
from schemas.keys import canonical_key
from schemas.loader import load_catalog
from schemas.positions import dynamodb_position

EVENTS = 200_000
KEYS = 20_000
FRAMES_OF_AN_OBJECT = 20_000
ROUNDS = 3
EPOCH_2024 = 1_704_067_200_000_000
BARE_ENVELOPE = parse_schema(json.loads(to_parsing_canonical_form(ENVELOPE)))


def run() -> list[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    catalog = load_catalog()
    entity = catalog.entity("subscription")
    whole, quarter = (log_of(frames(catalog, EVENTS, KEYS, every)) for every in (1, 4))
    bare, bare_quarter = (_fastest(partial(_bare, log)) for log in (whole, quarter))
    ours, few = (_fastest(partial(_fold, log, entity, catalog.registry)) for log in (whole, quarter))
    written = _fastest(partial(write, whole, entity, catalog.registry), 1)
    return [
        ("replay: fold of a log of one entity", EVENTS / ours, bare / ours, "events/s"),
        ("  bare frames, CRC-32 and envelopes", EVENTS / bare, 1.0, "events/s"),
        ("replay: fold of a quarter of the log's events", EVENTS / few, bare_quarter / few, "events/s"),
        (
            "replay: fold of a log of one entity, written to SQLite",
            EVENTS / written,
            bare / written,
            "events/s",
        ),
    ]


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


def write(log: LogStore, entity: Entity, registry: Registry) -> None:
    """Fold the log into a table of its own."""
    with TemporaryDirectory() as folder:
        warehouse = open_warehouse(f"sqlite:///{Path(folder) / 'bench.db'}", [entity])
        warehouse.ensure()
        ports = Ports(warehouse, log, InMemoryStream(), registry)
        revision = warehouse.create_revision(entity.name)
        load(ports, RevisionWriter(warehouse, Wanted(entity), registry, revision, 1, Patience()))
        warehouse.close()


def _fold(log: LogStore, entity: Entity, registry: Registry) -> None:
    wanted, damages = Wanted(entity), Damages()
    for chunk in chunks(log, wanted.needle, damages):
        fold(surviving_facts(chunk.frames, wanted, registry).facts)
    damages.check()


def _bare(log: LogStore) -> None:
    for item in log.objects():
        for part in log.parts(item):
            at = 0
            while at < len(part):
                end = at + 4 + int.from_bytes(part[at : at + 4])
                frame = part[at:end]
                assert crc32(frame[:-4]) == int.from_bytes(frame[-4:])
                body = BytesIO(frame)
                body.seek(14)
                schemaless_reader(body, BARE_ENVELOPE, None)
                at = end


def _fastest(work: Callable[[], None], rounds: int = ROUNDS) -> float:
    """Seconds of the fastest round."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)
