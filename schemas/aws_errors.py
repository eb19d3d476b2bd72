"""Mapping of botocore's errors to Headwater's, by code and class name, never by message.

One table serves every edge that calls AWS. It contains the errors of the operations of Kinesis, DynamoDB and
its streams, S3, SQS, Firehose, STS, and of what the schedule turns on and off, as botocore models them, the
common errors of their API references, and the codes that botocore retries.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from schemas.errors import ConfigurationError, ConflictError, HeadwaterError, TransientError

# The answer to a HEAD request has no body, so its code is the HTTP status.
_CODES: Final[dict[type[HeadwaterError], str]] = {
    TransientError: """
        429 500 502 503 504
        BandwidthLimitExceeded EC2ThrottledException LimitExceededException OverLimit PriorRequestNotComplete
        ProvisionedThroughputExceededException RequestLimitExceeded RequestThrottled RequestThrottledException
        SlowDown ThrottledException Throttling ThrottlingException TooManyRequestsException
        InsufficientDBInstanceCapacity InsufficientInstanceCapacity InternalServerException ServiceException
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
        IncorrectInstanceState InvalidDBInstanceState ResourceConflictException
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
        AuthorizationNotFound DBCapacityReservationNotFound DBClusterNotFoundFault DBInstanceNotFound
        DBSnapshotAlreadyExists DBSubnetGroupDoesNotCoverEnoughAZs DBSubnetGroupNotFoundFault
        InvalidDBCapacityReservationState InvalidDBClusterStateFault InvalidParameterValueException
        InvalidSubnet InvalidVPCNetworkStateFault KMSKeyNotAccessibleFault ServiceQuotaExceededException
        SnapshotQuotaExceeded VpcEncryptionControlViolationException
    """,
}

_CLASSES: Final[dict[type[HeadwaterError], str]] = {
    TransientError: """
        ChecksumError ConnectionClosedError ConnectionError CredentialRetrievalError FlexibleChecksumError
        HTTPClientError IncompleteReadError MetadataRetrievalError ResponseParserError RetriesExceededError
        S3TransferFailedError S3UploadFailedError TokenRetrievalError WaiterError
    """,
    ConfigurationError: "Boto3Error BotoCoreError",  # the base classes of all others
}

_ERROR_OF_CODE: Final = {code: error for error, codes in _CODES.items() for code in codes.split()}
_ERROR_OF_CLASS: Final = {name: error for error, names in _CLASSES.items() for name in names.split()}
_MISSING: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})
_EXISTING: Final = frozenset({"412", "PreconditionFailed"})


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Raise errors of botocore and boto3 as TransientError, ConflictError or ConfigurationError.

    The message is `doing` and the code. A code that is not in the table is transient if the HTTP status is
    5xx, and a matter of configuration otherwise. A missing object is raised unchanged: the caller decides
    whether it is an error (`is_missing`).
    """
    try:
        yield
    except Exception as error:
        mapped = None if is_missing(error) else _map_error(error)
        if mapped is None:
            raise
        # The server's own message may contain values (INV-7).
        raise mapped(f"{doing}: {_code(error) or type(error).__name__}") from error


def is_missing(error: BaseException) -> bool:
    """Return whether S3 answered that an object, or that version of it, does not exist."""
    return _code(error) in _MISSING


def is_existing(error: BaseException) -> bool:
    """Return whether S3 refused a write with If-None-Match because the object exists, and is durable.

    `error` is an error of `aws_errors`. Another process that is just writing the object is answered otherwise
    (409): https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    return error.__cause__ is not None and _code(error.__cause__) in _EXISTING


def _map_error(error: Exception) -> type[HeadwaterError] | None:
    """Return the class that an error of botocore or boto3 is mapped to, or None for any other error."""
    code = _code(error)
    if code is None:
        classes = (aws_class.__name__ for aws_class in _aws_classes(error))
        return next((_ERROR_OF_CLASS[name] for name in classes if name in _ERROR_OF_CLASS), None)
    return _ERROR_OF_CODE.get(code) or (TransientError if _status(error) >= 500 else ConfigurationError)


def _aws_classes(error: BaseException) -> Iterator[type]:
    """Yield the classes of an error that AWS libraries define, the most derived first."""
    # Names, not types: importing botocore here would make it a dependency of this package.
    for base in type(error).__mro__:
        if base.__module__.split(".")[0] in ("boto3", "botocore", "s3transfer"):
            yield base


def _code(error: BaseException) -> str | None:
    """Return the code of a ClientError, or None for any other error: no other contains an answer of AWS."""
    if not any(aws_class.__name__ == "ClientError" for aws_class in _aws_classes(error)):
        return None
    return str(error.response.get("Error", {}).get("Code", "Unknown"))  # type: ignore[attr-defined]


def _status(error: BaseException) -> int:
    response = error.response  # type: ignore[attr-defined]
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def silence_botocore_bodies() -> None:
    """Drop log records of botocore below INFO, whatever the level of the root logger.

    Its debug records contain whole requests and answers, and so items, rows and secrets (INV-7).
    """
    logger = logging.getLogger("botocore")
    if logger.getEffectiveLevel() < logging.INFO:
        logger.setLevel(logging.INFO)
