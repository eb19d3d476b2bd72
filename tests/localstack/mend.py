"""Mends LocalStack 4.14.0, in whose Python this runs: what its Firehose takes from a Kinesis stream, and what
its CloudFormation finds in a mapping.

In host mode at the installation; in Docker as a boot script, which LocalStack executes before it starts. Each
was seen: with LATEST what is put before the delivery stream is ACTIVE is mostly lost; a shard that was split
is never told to be done, so that its children are never read; a parameter of type Number finds no key in a
mapping, where keys are texts.
"""

from importlib.util import find_spec
from pathlib import Path

CONNECTOR = "localstack.utils.kinesis.kinesis_connector"
FROM_THE_START = ('initialPositionInStream="LATEST"', 'initialPositionInStream="TRIM_HORIZON"')
REQUESTED = "    def shutdown_requested(self, "
END_OF_A_SHARD = (
    REQUESTED,
    "    def shutdown(self, shutdown_input):\n"
    '        if shutdown_input.reason == "TERMINATE":\n'
    "            shutdown_input.checkpointer.checkpoint()\n\n" + REQUESTED,
)
TEMPLATES = "localstack.services.cloudformation.engine.v2.change_set_model_preproc"
NUMBERS_IN_MAPPINGS = (
    "node_mapping.bindings.bindings.get(top_level_key)",
    "node_mapping.bindings.bindings.get(str(top_level_key))",
)


def mend(module: str, *edits: tuple[str, str]) -> None:
    """Replace each text, unless it was replaced before."""
    text = (source := _source(module)).read_text()
    for old, new in edits:
        if new not in text:
            if text.count(old) != 1:
                raise SystemExit(f"{source} is not that of LocalStack 4.14.0")
            text = text.replace(old, new)
    source.write_text(text)


def _source(module: str) -> Path:
    found = find_spec(module)
    if found is None or found.origin is None:
        raise SystemExit("no LocalStack in this Python")
    return Path(found.origin)


mend(CONNECTOR, FROM_THE_START, END_OF_A_SHARD)
mend(TEMPLATES, NUMBERS_IN_MAPPINGS)
