"""Records for items that a backfill reads: the form of a stream record, so that one reader serves both. Pure.

An item that exists becomes the record of an insert with sequence number 0. Dead letters of backfilled items
have such a record as their payload, and are redriven like those of stream records.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from producers.dynamodb.records import BACKFILL, VIEW
from schemas.positions import BACKFILL_SEQUENCE

BotoItem: TypeAlias = Mapping[str, Mapping[str, Any]]
"""An item as boto3's low-level client returns it: binary values are bytes."""

_NESTED = frozenset({"B", "BS", "L", "M"})


def item_record(
    item: BotoItem, *, stream_arn: str, key: Iterable[str], method: str, read_at: int
) -> dict[str, Any]:
    """Return the record of an item.

    `key` are the attributes of the table's key, and `method` the way the item was read. At `read_at`, in
    seconds since 1970, the item is known to have had this state.
    """
    image = item_as_json(item)
    return {
        "eventName": "INSERT",
        "eventSourceARN": stream_arn,
        BACKFILL: method,
        "dynamodb": {
            "ApproximateCreationDateTime": read_at,
            "Keys": {name: image[name] for name in key},
            "NewImage": image,
            "SequenceNumber": BACKFILL_SEQUENCE,
            "StreamViewType": VIEW,
        },
    }


def item_as_json(item: BotoItem) -> dict[str, Any]:
    """Return an item of boto3 in the form of a Lambda event, where binary values are base64 text."""
    # Most attributes need no conversion, and this runs for every attribute of every item.
    return {
        name: attribute if _NESTED.isdisjoint(attribute) else attribute_as_json(attribute)
        for name, attribute in item.items()
    }


def item_from_json(item: BotoItem) -> dict[str, Any]:
    """Invert `item_as_json`."""
    return {name: attribute_from_json(attribute) for name, attribute in item.items()}


def attribute_as_json(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """Return a typed attribute of boto3 with its binary values, at any depth, as base64 text."""
    return _converted(attribute, lambda raw: b64encode(raw).decode())


def attribute_from_json(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """Invert `attribute_as_json`."""
    return _converted(attribute, b64decode)


def _converted(attribute: Mapping[str, Any], binary: Callable[[Any], Any]) -> dict[str, Any]:
    ((kind, value),) = attribute.items()
    match kind:
        case "B":
            return {kind: binary(value)}
        case "BS":
            return {kind: [binary(one) for one in value]}
        case "L":
            return {kind: [_converted(one, binary) for one in value]}
        case "M":
            return {kind: {name: _converted(one, binary) for name, one in value.items()}}
        case _:
            return {kind: value}
