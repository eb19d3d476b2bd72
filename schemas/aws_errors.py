"""botocore's errors as ours, by code and by the name of the class, never by the text.

One table for every edge that talks to AWS. Codes: the "Errors" sections of the API references of Kinesis,
DynamoDB Streams, S3, SQS and Firehose, their common errors, and botocore's own lists of what it retries.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from schemas.errors import ConfigurationError, ConflictError, HeadwaterError, TransientError

_CODES: dict[type[HeadwaterError], str] = {
    TransientError: """
        429 500 502 503 504
        BandwidthLimitExceeded EC2ThrottledException LimitExceededException OverQuota OverLimit
        PriorRequestNotComplete ProvisionedThroughputExceededException RequestLimitExceeded RequestThrottled
        RequestThrottledException SlowDown ThrottledException Throttling ThrottlingException
        TooManyRequestsException TransactionConflictException TransactionInProgressException
        InternalError InternalFailure InternalServerError ServiceUnavailable ServiceUnavailableException
        RequestTimeout RequestTimeoutException OperationAborted BadDigest IncompleteBody
        ExpiredToken ExpiredTokenException RequestExpired RequestTimeTooSkewed TokenRefreshRequired
        KMS.AccessDeniedException KMS.DisabledException KMS.InvalidStateException KMS.KMSInvalidStateException
        KMS.NotFoundException KMS.OptInRequired KMS.ThrottlingException KmsAccessDenied KmsDisabled
        KmsInvalidState KmsNotFound KmsOptInRequired KmsThrottled KMSAccessDeniedException KMSDisabledException
        KMSInvalidStateException KMSNotFoundException KMSOptInRequired KMSThrottlingException
        InvalidKMSResourceException
    """,
    ConflictError: """
        409 412
        BucketAlreadyExists BucketAlreadyOwnedByYou ConcurrentModificationException
        ConditionalCheckFailedException ConditionalRequestConflict ConflictException ExpiredIteratorException
        PreconditionFailed ResourceInUseException TransactionCanceledException TrimmedDataAccessException
    """,
    ConfigurationError: """
        400 301 401 403
        AccessDenied AccessDeniedException AccountProblem AllAccessDisabled AuthFailure
        AuthorizationHeaderMalformed EntityTooLarge IllegalLocationConstraintException IncompleteSignature
        InvalidAccessKeyId InvalidArgument InvalidArgumentException InvalidBucketName InvalidBucketState
        InvalidClientTokenId InvalidObjectState InvalidParameterValue InvalidRequest InvalidSignatureException
        InvalidToken KeyTooLongError MalformedPolicy MalformedXML MethodNotAllowed MissingAuthenticationToken
        MissingAuthenticationTokenException MissingParameter NoSuchBucket NotSignedUp OptInRequired
        PermanentRedirect ResourceNotFoundException SerializationException SignatureDoesNotMatch
        SubscriptionRequiredException TableNotFoundException UnauthorizedOperation UnknownOperationException
        UnrecognizedClientException UnsupportedOperation ValidationError ValidationException
        AWS.SimpleQueueService.NonExistentQueue QueueDoesNotExist
    """,
}

_CLASSES: dict[type[HeadwaterError], str] = {
    TransientError: """
        ChecksumError ClosedConnectionError ConnectionClosedError ConnectionError ConnectTimeoutError
        CredentialRetrievalError EndpointConnectionError FlexibleChecksumError HTTPClientError
        IncompleteReadError MetadataRetrievalError ProxyConnectionError ReadTimeoutError ResponseParserError
        ResponseStreamingError RetriesExceededError S3UploadFailedError SSLError TokenRetrievalError WaiterError
    """,
    ConfigurationError: "Boto3Error BotoCoreError ClientError",  # the roots: whatever is not named above
}

_ERROR_OF_CODE = {code: error for error, codes in _CODES.items() for code in codes.split()}
_ERROR_OF_CLASS = {name: error for error, names in _CLASSES.items() for name in names.split()}
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Raise botocore's errors within as ours, the cause kept: TransientError, ConflictError, ConfigurationError.

    The text is `doing` and the code; the server's words may hold values (INV-7). An unknown code is transient if
    the server says 5xx. A missing object is left as it is: whether that is an error the caller knows (is_missing).
    """
    try:
        yield
    except Exception as error:
        ours = None if is_missing(error) else _ours(error)
        if ours is None:
            raise
        raise ours(f"{doing}: {_code(error) or type(error).__name__}") from error


def is_missing(error: BaseException) -> bool:
    """Whether this is S3's answer that an object, or that version of it, is not there."""
    return _code(error) in _MISSING


def _ours(error: Exception) -> type[HeadwaterError] | None:
    """The class of ours for an error of botocore or boto3; None for any other."""
    code = _code(error)
    if code is None:
        names = [each.__name__ for each in type(error).__mro__ if each.__module__.startswith("boto")]
        return next((_ERROR_OF_CLASS[name] for name in names if name in _ERROR_OF_CLASS), None)
    return _ERROR_OF_CODE.get(code) or (TransientError if _status(error) >= 500 else ConfigurationError)


def _response(error: BaseException) -> dict[str, Any]:
    """What the server answered, if this is botocore's ClientError."""
    found = getattr(error, "response", None)
    return found if isinstance(found, dict) else {}


def _code(error: BaseException) -> str | None:
    code = _response(error).get("Error", {}).get("Code")
    return None if code is None else str(code)


def _status(error: BaseException) -> int:
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
