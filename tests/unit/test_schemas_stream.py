"""The stream's name or ARN, and the role for it."""

import pytest

from schemas.errors import ConfigurationError
from schemas.settings import Settings, read_settings
from schemas.stream import parse_stream

ARN = "arn:aws:kinesis:eu-west-2:222222222222:stream/headwater-prod-events"
ROLE = "arn:aws:iam::222222222222:role/path/headwater-writer"


def test_a_name_is_passed_as_a_name() -> None:
    stream = parse_stream("headwater-events")
    assert stream.arguments == {"StreamName": "headwater-events"}
    assert stream.record_arguments == {}
    assert (str(stream), stream.region) == ("headwater-events", None)


@pytest.mark.parametrize(
    "arn", [ARN, ARN.replace("arn:aws:", "arn:aws-cn:"), ARN.replace("arn:aws:", "arn:aws-us-gov:")]
)
def test_an_arn_is_passed_as_an_arn(arn: str) -> None:
    stream = parse_stream(arn)
    assert stream.arguments == stream.record_arguments == {"StreamARN": arn}
    assert (str(stream), stream.name, stream.region) == (arn, "headwater-prod-events", "eu-west-2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "two words",
        "a/b",
        "n" * 129,
        "arn:aws:kinesis:eu-west-2:222222222222:stream/",
        "arn:aws:kinesis:eu-west-2:222222222222:stream/a/consumer/b:1",
        "arn:aws:kinesis:eu-west-2:22222222222:stream/a",
        "arn:aws:kinesis::222222222222:stream/a",
        "arn:aws:firehose:eu-west-2:222222222222:deliverystream/a",
        ARN + "\n",
        "https://kinesis.eu-west-2.amazonaws.com",
    ],
)
def test_anything_else_is_refused_with_both_forms(text: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"HEADWATER_STREAM: .*arn:aws:kinesis:REGION:ACCOUNT:stream/"
    ):
        parse_stream(text)


def test_the_settings_refuse_a_malformed_stream_or_role() -> None:
    with pytest.raises(ConfigurationError, match="HEADWATER_STREAM:"):
        read_settings({"HEADWATER_STREAM": ARN[:-1] + "/"})
    with pytest.raises(ConfigurationError, match="HEADWATER_STREAM_ROLE:"):
        read_settings({"HEADWATER_STREAM_ROLE": "headwater-writer"})
    settings = read_settings({"HEADWATER_STREAM": ARN, "HEADWATER_STREAM_ROLE": ROLE})
    assert (settings.stream, settings.stream_role) == (ARN, ROLE)


def test_the_delivery_stream_is_named_after_the_stream() -> None:
    assert Settings(stream=ARN).delivery_stream == "headwater-prod-events-to-log"
    assert Settings(stream="events").delivery_stream == "events-to-log"
