"""botocore's errors as ours: nothing falls through, and nothing of the server's text comes with it."""

from collections.abc import Iterator
from typing import Any

import boto3.exceptions
import botocore.config
import botocore.exceptions
import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.retries import standard

from schemas.aws_errors import _CODES, _ERROR_OF_CODE, aws_errors, is_existing, is_missing
from schemas.errors import ConfigurationError, ConflictError, HeadwaterError, TransientError

SECRET = "the server's words, with a pupil's name"


def client_error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": SECRET}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutRecords")


def mapped(error: Exception) -> HeadwaterError:
    with pytest.raises(HeadwaterError) as caught, aws_errors("putting"):
        raise error
    assert caught.value.__cause__ is error
    assert SECRET not in str(caught.value)
    return caught.value


ROWS = [
    (TransientError, "ProvisionedThroughputExceededException", "ThrottlingException", "SlowDown"),
    (
        TransientError,
        "LimitExceededException",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
    ),
    (
        TransientError,
        "RequestTimeout",
        "500",
        "503",
        "429",
        "OperationAborted",
        "TransactionConflictException",
    ),
    (TransientError, "ExpiredToken", "ExpiredTokenException", "RequestExpired", "RequestTimeTooSkewed"),
    (TransientError, "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException"),
    (
        TransientError,
        "KMSNotFoundException",
        "KMSOptInRequired",
        "KMSThrottlingException",
        "KMS.NotFoundException",
    ),
    (
        ConflictError,
        "PreconditionFailed",
        "412",
        "ConditionalRequestConflict",
        "409",
        "ResourceInUseException",
    ),
    (
        ConflictError,
        "ConditionalCheckFailedException",
        "ExpiredIteratorException",
        "TrimmedDataAccessException",
    ),
    (ConflictError, "InvalidDBInstanceState", "IncorrectInstanceState", "ResourceConflictException"),
    (ConfigurationError, "NoSuchBucket", "ResourceNotFoundException", "QueueDoesNotExist", "301", "400"),
    (ConfigurationError, "AccessDenied", "AccessDeniedException", "403", "InvalidClientTokenId"),
    (ConfigurationError, "SignatureDoesNotMatch", "UnrecognizedClientException", "ValidationException"),
]


@pytest.mark.parametrize(("ours", "code"), [(ours, code) for ours, *codes in ROWS for code in codes])
def test_a_code_says_what_the_caller_may_do(ours: type[HeadwaterError], code: str) -> None:
    error = mapped(client_error(code))
    assert (type(error), str(error)) == (ours, f"putting: {code}")


@pytest.mark.parametrize(
    ("status", "ours"), [(500, TransientError), (599, TransientError), (418, ConfigurationError)]
)
def test_an_unknown_code_goes_by_its_status(status: int, ours: type[HeadwaterError]) -> None:
    assert type(mapped(client_error("SomethingNew", status))) is ours


def test_an_answer_without_a_code_is_mapped_too() -> None:
    assert str(mapped(ClientError({}, "PutRecords"))) == "putting: Unknown"


@pytest.mark.parametrize(
    "code", [*standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES, "RequestTimeout"]
)
def test_what_botocore_would_retry_is_transient(code: str) -> None:
    assert type(mapped(client_error(code))) is TransientError


OPERATIONS = {
    "kinesis": "PutRecords GetRecords GetShardIterator ListShards DescribeStreamSummary CreateStream",
    "dynamodbstreams": "DescribeStream GetRecords GetShardIterator ListStreams",
    "dynamodb": "PutItem DeleteItem Scan CreateTable DescribeTable UpdateTable",
    "firehose": "PutRecord PutRecordBatch CreateDeliveryStream DescribeDeliveryStream",
    "s3": "HeadBucket CreateBucket",
    "rds": "DescribeDBInstances StartDBInstance StopDBInstance",
    "lambda": "GetEventSourceMapping UpdateEventSourceMapping",
    "scheduler": "GetSchedule UpdateSchedule",
}


def modelled_codes() -> Iterator[str]:
    session = botocore.session.get_session()
    for service, operations in OPERATIONS.items():
        model = session.get_service_model(service)
        for operation in operations.split():
            yield from (shape.error_code for shape in model.operation_model(operation).error_shapes)


OF_OPTIONS_NOT_USED = {"DryRunOperationException", "IdempotentParameterMismatchException"}


def test_every_error_that_aws_documents_for_our_streams_is_in_the_table() -> None:
    assert set(modelled_codes()) - set(_ERROR_OF_CODE) == OF_OPTIONS_NOT_USED & set(modelled_codes())


def test_no_code_stands_in_two_rows() -> None:
    codes = [code for row in _CODES.values() for code in row.split()]
    assert len(codes) == len(set(codes))


ADDRESS = "http://127.0.0.1:1/"
UNANSWERED = [
    botocore.exceptions.EndpointConnectionError(endpoint_url=ADDRESS),
    botocore.exceptions.ConnectTimeoutError(endpoint_url=ADDRESS),
    botocore.exceptions.ReadTimeoutError(endpoint_url=ADDRESS),
    botocore.exceptions.ConnectionClosedError(endpoint_url=ADDRESS),
    botocore.exceptions.ProxyConnectionError(proxy_url=ADDRESS),
    botocore.exceptions.SSLError(endpoint_url=ADDRESS, error="x"),
    botocore.exceptions.HTTPClientError(error="x"),
    botocore.exceptions.ResponseStreamingError(error="x"),
    botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    botocore.exceptions.CredentialRetrievalError(provider="x", error_msg="x"),
    botocore.exceptions.WaiterError(name="x", reason="x", last_response={}),
    boto3.exceptions.S3UploadFailedError("x"),
]
REFUSED_HERE = [
    botocore.exceptions.NoCredentialsError(),
    botocore.exceptions.PartialCredentialsError(provider="x", cred_var="x"),
    botocore.exceptions.NoRegionError(),
    botocore.exceptions.ProfileNotFound(profile="x"),
    botocore.exceptions.ParamValidationError(report=SECRET),
    botocore.exceptions.InvalidRegionError(region_name="x y"),
    botocore.exceptions.UnauthorizedSSOTokenError(),
]


@pytest.mark.parametrize("error", UNANSWERED, ids=lambda error: type(error).__name__)
def test_an_endpoint_that_does_not_answer_is_transient(error: Exception) -> None:
    ours = mapped(error)
    assert (type(ours), str(ours)) == (TransientError, f"putting: {type(error).__name__}")


@pytest.mark.parametrize("error", REFUSED_HERE, ids=lambda error: type(error).__name__)
def test_what_botocore_refuses_to_send_is_a_matter_of_configuration(error: Exception) -> None:
    assert type(mapped(error)) is ConfigurationError


def test_a_refused_connection_is_transient() -> None:
    kinesis = botocore.session.get_session().create_client(
        "kinesis",
        region_name="eu-west-1",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(TransientError, match="listing: EndpointConnectionError"), aws_errors("listing"):
        kinesis.list_shards(StreamName="away")


@pytest.mark.parametrize("code", ["NoSuchKey", "404", "NoSuchVersion"])
def test_a_missing_object_is_left_to_the_caller(code: str) -> None:
    error = client_error(code, 404)
    assert is_missing(error)
    with pytest.raises(ClientError) as caught, aws_errors("getting"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("code", "status", "exists"),
    [("PreconditionFailed", 412, True), ("412", 412, True), ("ConditionalRequestConflict", 409, False)],
)
def test_a_refused_conditional_write_shows_whether_the_object_exists(
    code: str, status: int, exists: bool
) -> None:
    with pytest.raises(ConflictError) as caught, aws_errors("putting"):
        raise client_error(code, status)
    assert is_existing(caught.value) == exists
    assert not is_existing(TransientError("no answer of S3"))


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), TransientError("x"), StopIteration()]
)
def test_errors_that_are_not_botocores_pass_as_they_are(error: BaseException) -> None:
    assert not is_missing(error)
    with pytest.raises(type(error)) as caught, aws_errors("getting"):
        raise error
    assert caught.value is error
