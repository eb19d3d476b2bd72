"""The Kinesis stream of the events, by name or by ARN, as arguments of its API calls. Pure.

A name is looked up in the caller's own account; the stream of another account needs its ARN.
https://docs.aws.amazon.com/streams/latest/dev/resource-based-policy-examples.html
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from schemas.errors import ConfigurationError

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StreamDescriptionSummary.html
_NAME = r"(?P<name>[a-zA-Z0-9_.-]{1,128})"
_STREAM = re.compile(rf"(?:arn:aws[a-z-]*:kinesis:(?P<region>[a-z0-9-]+):\d{{12}}:stream/)?{_NAME}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)


class Stream(NamedTuple):
    """A parsed HEADWATER_STREAM. `arn` and `region` are None for a plain name."""

    name: str
    arn: str | None
    region: str | None

    def __str__(self) -> str:
        return self.arn or self.name

    @property
    def arguments(self) -> dict[str, Any]:
        """The stream as arguments of an API call."""
        return {"StreamARN": self.arn} if self.arn else {"StreamName": self.name}

    @property
    def record_arguments(self) -> dict[str, Any]:
        """The stream as arguments of GetRecords, which takes no name: the iterator contains it."""
        return {"StreamARN": self.arn} if self.arn else {}


def parse_stream(text: str) -> Stream:
    """Parse the name or the ARN of a stream. Raises ConfigurationError."""
    match = _STREAM.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"HEADWATER_STREAM: {text!r} is neither the name of a Kinesis stream (letters, digits, _ . -) "
            "nor its ARN (arn:aws:kinesis:REGION:ACCOUNT:stream/NAME)"
        )
    region = match["region"]
    return Stream(match["name"], text if region else None, region)


def check_role(arn: str) -> None:
    """Raise ConfigurationError unless this is the ARN of a role."""
    if not _ROLE.fullmatch(arn):
        raise ConfigurationError(
            f"HEADWATER_STREAM_ROLE: {arn!r} is not the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)"
        )
