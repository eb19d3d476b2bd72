"""boto3's records in the form in which Lambda documents them."""

import base64
from datetime import UTC, datetime

from consumers.kinesis import KinesisRecord
from headwater.polling.lambda_events import dynamodb_event, kinesis_event, sqs_event
from producers.dynamodb.item_records import attribute_as_json, attribute_from_json
from producers.dynamodb.records import TIME_TO_LIVE

TABLE_STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/2026-01-31T12:00:00.000"
AT = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def dynamodb_record(at: datetime = AT) -> dict:
    return {
        "eventID": "1",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": at,
            "Keys": {"id": {"B": b"\x00\xff"}},
            "OldImage": {"id": {"B": b"\x00\xff"}, "deep": {"M": {"l": {"L": [{"BS": [b"a", b"b"]}]}}}},
            "NewImage": {"id": {"B": b"\x00\xff"}, "n": {"N": "1.50"}, "none": {"NULL": True}},
            "SequenceNumber": "42",
            "SizeBytes": 1,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }


def test_binary_values_of_every_depth_are_base64_and_all_else_is_as_it_was() -> None:
    (record,) = dynamodb_event([dynamodb_record()], TABLE_STREAM)["Records"]
    assert record["dynamodb"]["Keys"] == {"id": {"B": "AP8="}}
    assert record["dynamodb"]["OldImage"]["deep"] == {"M": {"l": {"L": [{"BS": ["YQ==", "Yg=="]}]}}}
    assert record["dynamodb"]["NewImage"] == {"id": {"B": "AP8="}, "n": {"N": "1.50"}, "none": {"NULL": True}}
    assert record["eventSourceARN"] == TABLE_STREAM
    assert record["dynamodb"]["SequenceNumber"] == "42"


def test_a_record_of_an_insert_has_no_old_image() -> None:
    given = dynamodb_record()
    del given["dynamodb"]["OldImage"]
    (record,) = dynamodb_event([given], TABLE_STREAM)["Records"]
    assert "OldImage" not in record["dynamodb"]


def test_creation_is_told_in_seconds_whole_where_aws_tells_whole_ones() -> None:
    whole, fraction = dynamodb_event(
        [dynamodb_record(), dynamodb_record(AT.replace(microsecond=250_000))], TABLE_STREAM
    )["Records"]
    assert repr(whole["dynamodb"]["ApproximateCreationDateTime"]) == "1769860800"
    assert fraction["dynamodb"]["ApproximateCreationDateTime"] == 1769860800.25


def test_a_deletion_by_time_to_live_is_spelt_as_lambda_spells_it() -> None:
    service = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    (record,) = dynamodb_event([{**dynamodb_record(), "userIdentity": service}], TABLE_STREAM)["Records"]
    assert record["userIdentity"].items() >= TIME_TO_LIVE.items()


def test_the_records_given_are_left_as_they_were() -> None:
    given = dynamodb_record()
    dynamodb_event([given], TABLE_STREAM)
    assert given == dynamodb_record()


def test_an_attribute_comes_back_as_it_went() -> None:
    attribute = {"M": {"b": {"B": b"\x00"}, "s": {"BS": [b"x"]}, "l": {"L": [{"S": "t"}, {"BOOL": False}]}}}
    assert attribute_from_json(attribute_as_json(attribute)) == attribute


def test_a_kinesis_record_carries_shard_sequence_and_payload() -> None:
    arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/s"
    (record,) = kinesis_event([KinesisRecord("shardId-0", "7", b"\x00\xff", AT)], arn)["Records"]
    assert record["eventID"] == "shardId-0:7"
    assert record["eventSourceARN"] == arn
    assert record["awsRegion"] == "eu-west-1"
    assert base64.b64decode(record["kinesis"]["data"]) == b"\x00\xff"
    assert record["kinesis"]["sequenceNumber"] == "7"
    assert record["kinesis"]["approximateArrivalTimestamp"] == AT.timestamp()


def test_an_sqs_record_carries_id_and_body() -> None:
    received = {"MessageId": "m", "ReceiptHandle": "r", "Body": "{}", "MD5OfBody": "5"}
    (record,) = sqs_event([received], "arn:aws:sqs:eu-west-1:123456789012:q")["Records"]
    assert (record["messageId"], record["body"], record["eventSource"]) == ("m", "{}", "aws:sqs")
