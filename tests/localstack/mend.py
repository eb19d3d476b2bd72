"""Mends LocalStack 4.14.0, in whose Python this runs: what its Firehose takes from a Kinesis stream.

In host mode at the installation; in Docker as a boot script, which LocalStack executes before it starts. Each
was seen: with LATEST what is put before the delivery stream is ACTIVE is mostly lost; and a shard that was
split is never told to be done, so that its children are never read.
"""

from importlib.util import find_spec
from pathlib import Path

FROM_THE_START = ('initialPositionInStream="LATEST"', 'initialPositionInStream="TRIM_HORIZON"')
REQUESTED = "    def shutdown_requested(self, "
END_OF_A_SHARD = (
    REQUESTED,
    "    def shutdown(self, shutdown_input):\n"
    '        if shutdown_input.reason == "TERMINATE":\n'
    "            shutdown_input.checkpointer.checkpoint()\n\n" + REQUESTED,
)

found = find_spec("localstack.utils.kinesis.kinesis_connector")
if found is None or found.origin is None:
    raise SystemExit("no LocalStack in this Python")
source = Path(found.origin)
text = source.read_text()
for old, new in (FROM_THE_START, END_OF_A_SHARD):
    if new not in text:
        if text.count(old) != 1:
            raise SystemExit(f"{source} is not that of LocalStack 4.14.0")
        text = text.replace(old, new)
source.write_text(text)
