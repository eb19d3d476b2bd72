"""botocore's errors as ours, by code and by the name of the class, never by the text.

One table for every edge that talks to AWS. Codes: the errors of the operations of Kinesis, DynamoDB and its
streams, S3, SQS, Firehose and STS as botocore models them, the common errors of their API references, and the
codes that botocore itself retries. An answer to HEAD has no body: there the code is the status.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from schemas.errors import ConfigurationError, ConflictError, HeadwaterError, TransientError

_CODES: Final[dict[type[HeadwaterError], str]] = {
    TransientError: """
        429 500 502 503 504
        BandwidthLimitExceeded EC2ThrottledException LimitExceededException OverLimit PriorRequestNotComplete
        ProvisionedThroughputExceededException RequestLimitExceeded RequestThrottled RequestThrottledException
        SlowDown ThrottledException Throttling ThrottlingException TooManyRequestsException
        InternalError InternalFailure InternalFailureException InternalServerError ServiceUnavailable
        ServiceUnavailableException RequestTimeout RequestTimeoutException BadDigest IncompleteBody
        OperationAborted PurgeQueueInProgress QueueDeletedRecently ReplicatedWriteConflictException
        TransactionConflictException TransactionInProgressException
        ExpiredToken ExpiredTokenException IDPCommunicationError RequestExpired RequestTimeTooSkewed
        TokenRefreshRequired
        InvalidKMSResourceException KMS.DisabledException KMS.InvalidKeyUsageException
        KMS.KMSInvalidStateException KMS.NotFoundException KMSAccessDeniedException KMSDisabledException
        KMSInvalidStateException KMSNotFoundException KMSOptInRequired KMSThrottlingException KmsAccessDenied
        KmsDisabled KmsInvalidKeyUsage KmsInvalidState KmsNotFound KmsOptInRequired KmsThrottled
    """,
    ConflictError: """
        409 412
        BucketAlreadyExists BucketAlreadyOwnedByYou ConcurrentModificationException
        ConditionalCheckFailedException ConditionalRequestConflict ConflictException ExpiredIteratorException
        ExpiredNextTokenException MessageNotInflight PreconditionFailed QueueNameExists ReceiptHandleIsInvalid
        ResourceInUseException TableAlreadyExistsException TableInUseException TransactionCanceledException
        TrimmedDataAccessException
    """,
    ConfigurationError: """
        301 400 401 403 405
        AccessDenied AccessDeniedException AccountProblem AllAccessDisabled AuthFailure
        AuthorizationHeaderMalformed EntityTooLarge IllegalLocationConstraintException IncompleteSignature
        InvalidAccessKeyId InvalidArgument InvalidArgumentException InvalidBucketName InvalidBucketState
        InvalidClientTokenId InvalidObjectState InvalidParameterValue InvalidRequest InvalidSignatureException
        InvalidSourceException InvalidToken ItemCollectionSizeLimitExceededException KeyTooLongError
        MalformedXML MethodNotAllowed MissingAuthenticationToken MissingAuthenticationTokenException
        MissingParameter NoSuchBucket NotSignedUp OptInRequired PermanentRedirect QueueDoesNotExist
        AWS.SimpleQueueService.NonExistentQueue RegionDisabledException ResourceNotFoundException
        SerializationException SignatureDoesNotMatch SubscriptionRequiredException TableNotFoundException
        UnauthorizedOperation UnknownOperationException UnrecognizedClientException UnsupportedOperation
        ValidationError ValidationException
    """,
}

_CLASSES: Final[dict[type[HeadwaterError], str]] = {
    TransientError: """
        ChecksumError ConnectionClosedError ConnectionError CredentialRetrievalError FlexibleChecksumError
        HTTPClientError IncompleteReadError MetadataRetrievalError ResponseParserError RetriesExceededError
        S3TransferFailedError S3UploadFailedError TokenRetrievalError WaiterError
    """,
    ConfigurationError: "Boto3Error BotoCoreError",  # the roots: whatever is not named above
}

_ERROR_OF_CODE: Final = {code: error for error, codes in _CODES.items() for code in codes.split()}
_ERROR_OF_CLASS: Final = {name: error for error, names in _CLASSES.items() for name in names.split()}
_MISSING: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Raise errors of botocore and boto3 as TransientError, ConflictError or ConfigurationError, from theirs.

    The text is `doing` and the code: the server's words may hold values (INV-7). A code that is not in the
    table is transient if the server says 5xx, else a matter of configuration. A missing object stays as it
    is: the caller knows whether that is an error (is_missing).
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
        classes = (each.__name__ for each in _their_classes(error))
        return next((_ERROR_OF_CLASS[name] for name in classes if name in _ERROR_OF_CLASS), None)
    return _ERROR_OF_CODE.get(code) or (TransientError if _status(error) >= 500 else ConfigurationError)


def _their_classes(error: BaseException) -> Iterator[type]:
    """The nearest class first."""
    for each in type(error).__mro__:
        if each.__module__.split(".")[0] in ("boto3", "botocore", "s3transfer"):
            yield each


def _code(error: BaseException) -> str | None:
    """The code of a ClientError, the one kind of theirs that carries an answer; None for any other error."""
    if not any(each.__name__ == "ClientError" for each in _their_classes(error)):
        return None
    return str(error.response.get("Error", {}).get("Code", "Unknown"))  # type: ignore[attr-defined]


def _status(error: BaseException) -> int:
    response = error.response  # type: ignore[attr-defined]
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def silence_bodies() -> None:
    """No log of botocore's below INFO, whatever the root logger is at: its debug log holds whole requests and
    answers, and so items, rows and secrets (INV-7)."""
    foreign = logging.getLogger("botocore")
    if foreign.getEffectiveLevel() < logging.INFO:
        foreign.setLevel(logging.INFO)
