"""The demo: the main use case on this machine, with the runtime and handlers of `headwater up`."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from boto3.dynamodb.types import TypeSerializer

from consumers.facts import frames_of
from consumers.kinesis import ShardReader, StreamReader
from consumers.warehouse.port import Warehouse
from headwater.local import sample
from headwater.local.assembly import Local, embedded
from headwater.output import counted, show
from headwater.polling.runtime import Runtime
from headwater.replay_ports import replay_ports
from headwater.sources.dropping import drop
from headwater.views.rejected_rows import ROWS, rejected_rows
from replay.as_of import plan_as_of, view_suffix
from replay.log.reader import S3Log
from replay.rebuild import plan_rebuild
from replay.run import run
from schemas.aws_errors import aws_errors
from schemas.event import decode_event
from schemas.s3_objects import list_objects, read_object
from schemas.settings import Settings

_SCHOOLS = 30
_TEACHERS = 2  # of each school
_BAD_ROW = 7  # of the usage file
_DRAIN_SECONDS = 60.0


def demonstrate() -> None:
    """Run the demo and print each step with its effect. Leaves nothing running."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="headwater-demo-") as folder,
        embedded(Settings()) as local,
        local.runtime as runtime,
        local.here.warehouse() as warehouse,
    ):
        _Demo(local, runtime, warehouse, Path(folder)).run()
    show(f"\nDone in {time.monotonic() - began:.0f} s, and nothing is left running. Try next:")
    show("  headwater up        the same until you stop it; it tells how another shell reaches it")
    show("  headwater --help    drop files, look at tables, make them again from the log")


class _Demo:
    """The steps of the demo, and the clients that they use."""

    def __init__(self, local: Local, runtime: Runtime, warehouse: Warehouse, folder: Path) -> None:
        self._here, self._aws, self._runtime, self._folder = local.here, local.aws, runtime, folder
        self._warehouse = warehouse
        self._log = S3Log(local.aws.s3, local.here.settings.log_bucket)
        self._stream = StreamReader(local.aws.kinesis, local.here.settings.stream)
        self._shards: dict[str, ShardReader] = {}
        self._ports = replay_ports(local.here, local.aws, warehouse)
        self._register = sample.schools(_SCHOOLS)
        self._accounts = sample.accounts(self._register, _TEACHERS)
        self._subscriptions = sample.subscriptions(self._register)

    def run(self) -> None:
        """Run all steps, from the first item to a table as of an earlier moment."""
        show("Every change becomes an event, and any table can be made again from the events. The parts: an")
        show(f"embedded AWS at {self._here.settings.endpoint}, and SQLite. Nothing leaves this machine.")
        self._fill_the_tables()
        self._change_items()
        january = self._drop_files()
        self._drop_the_next_register()
        self._rebuild("subscription", "school")
        self._look_back(january)

    def _fill_the_tables(self) -> None:
        show(
            f"\n1. DynamoDB: {counted(len(self._subscriptions), 'subscription')}, and "
            f"{counted(len(self._accounts), 'account')} (teachers and classes share that table)."
        )
        self._put("subscriptions", *self._subscriptions)
        self._put("accounts", *self._accounts)
        self._show_effect("subscription", "teacher", "class_group")
        addresses = [item["home_address"] for item in self._accounts if "home_address" in item]
        log = b"".join(part for item in self._log.objects() for part in self._log.parts(item))
        leaked = sum(address.encode() in log for address in addresses)
        show(f"   kept out  {leaked} of {len(addresses)} home addresses are in the log: no schema names them")

    def _change_items(self) -> None:
        show("\n2. Three prices change, two subscriptions end, a teacher moves to another school.")
        dearer = [{**item, "price": item["price"] + 50} for item in self._subscriptions[:3]]
        self._put("subscriptions", *dearer)
        for item in self._subscriptions[-2:]:
            self._delete("subscriptions", {"subscription_id": item["subscription_id"]})
        teacher = self._accounts[0]
        self._delete("accounts", {"pk": teacher["pk"], "sk": teacher["sk"]})
        self._put("accounts", sample.moved(teacher, self._register[1], _TEACHERS + 1))
        self._show_effect("subscription", "teacher")

    def _drop_files(self) -> datetime:
        """Return a moment after the first register and before the second one."""
        show("\n3. CSV: the register of schools, and a month of usage in which one row is bad.")
        self._drop("register-january.csv", "school", sample.register_csv(self._register))
        usage = sample.usage(self._register, date(2026, 1, 1))
        usage[_BAD_ROW - 1] = replace(usage[_BAD_ROW - 1], minutes="about an hour")
        self._drop("usage-january.csv", "platform_usage", sample.usage_csv(usage))
        self._show_effect("school", "platform_usage")
        show("             (a sweep: what the file leaves out is gone; one for each of 256 parts of a table)")
        for row in self._rejected_rows():
            show(f"   rejected  row {row['row']}, column {row['column']}: {row['reason']}")
        # S3 has times in whole seconds: a file that is dropped from now on is not older than this second.
        return datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)

    def _drop_the_next_register(self) -> None:
        show("\n4. The next register: two schools are gone, three have grown, one is new.")
        register = sample.next_register(self._register, gone=2, grown=3)
        self._drop("register-february.csv", "school", sample.register_csv(register))
        self._show_effect("school")

    def _rebuild(self, *entities: str) -> None:
        sizes = [item.size for item in self._log.objects()]
        show(
            f"\n5. The log in S3 is {counted(len(sizes), 'object')} of {counted(sum(sizes), 'byte')} in all. "
            "From it alone tables are made again."
        )
        for name in entities:
            plan = plan_rebuild(self._ports, self._here.catalog.entity(name))
            outcome = run(plan, self._ports)
            proof = f"{len(outcome.differences)} rows differ" if outcome.differences else "every row is equal"
            number = f"revision {outcome.revision} replaces {plan.live}" if outcome.swapped else "not swapped"
            show(f"   {name:<13} {counted(outcome.events, 'event')} read, {proof}, {number}")

    def _look_back(self, january: datetime) -> None:
        show("\n6. And the register as it was before step 4, from the same events.")
        run(plan_as_of(self._ports, self._here.catalog.entity("school"), january), self._ports)
        then = {row[0] for row in self._warehouse.select("school", as_of=view_suffix(january))[1]}
        now = {row[0] for row in self._warehouse.select("school")[1]}
        gone, new = (", ".join(map(str, sorted(urns, key=str))) for urns in (then - now, now - then))
        show(f"   school    {len(then)} rows as of {january.isoformat()}, {len(now)} now")
        show(f"             gone since: {gone}; new since: {new}")

    def _put(self, table: str, *items: sample.Item) -> None:
        as_map = TypeSerializer().serialize
        with aws_errors(f"PutItem to {table}"):
            for item in items:
                self._aws.dynamodb.put_item(TableName=table, Item=as_map(item)["M"])

    def _delete(self, table: str, key: sample.Item) -> None:
        with aws_errors(f"DeleteItem from {table}"):
            self._aws.dynamodb.delete_item(TableName=table, Key=TypeSerializer().serialize(key)["M"])

    def _drop(self, name: str, entity: str, content: bytes) -> None:
        file = self._folder / name
        file.write_bytes(content)
        drop(self._aws, self._here.settings, self._here.catalog.entity(entity), file)

    def _show_effect(self, *entities: str) -> None:
        """Print the effect of a step: new events, read from Kinesis, and tables, read from the warehouse."""
        self._runtime.drain(_DRAIN_SECONDS)
        events = [f"{entity} {', '.join(kinds)}" for entity, kinds in self._new_events().items()]
        show(f"   events    {'; '.join(events)}")
        show(f"   log       {counted(sum(1 for _ in self._log.objects()), 'object')} in S3")
        tables = [
            f"{table.entity} {counted(table.live, 'row')}"
            + (f" and {counted(table.tombstones, 'tombstone')}" if table.tombstones else "")
            for table in self._warehouse.status()
            if table.entity in entities
        ]
        show(f"   tables    {', '.join(tables)}")

    def _new_events(self) -> dict[str, list[str]]:
        """Return the numbers of events by operation since the last call, for each entity."""
        counts: Counter[tuple[str, str]] = Counter()
        for shard in self._stream.shards():
            reader = self._shards.setdefault(shard.id, self._stream.open(shard.id))
            for record in reader.read().records:
                events = map(decode_event, frames_of(record.payload))
                counts.update((event.entity, event.operation) for event in events)
        texts: dict[str, list[str]] = {}
        for (entity, operation), number in sorted(counts.items()):
            texts.setdefault(entity, []).append(f"{number:,} {operation}")
        return texts

    def _rejected_rows(self) -> list[dict[str, str]]:
        bucket = self._here.settings.source_bucket
        files = [
            item.key for item in list_objects(self._aws.s3, bucket, "rejects/") if item.key.endswith(ROWS)
        ]
        return [row for key in files for row in rejected_rows(read_object(self._aws.s3, bucket, key))]
