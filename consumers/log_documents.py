"""Small documents of the log in S3, such as the schemas under `log/_schemas/` (INV-6)."""

from typing import TYPE_CHECKING

from schemas.aws_errors import aws_errors, is_missing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class LogDocuments:
    """Reader of small objects in the log bucket."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3, self._bucket = s3, bucket

    def read(self, key: str) -> bytes | None:
        """Return the whole object, or None if there is no such key.

        Raises TransientError, ConfigurationError.
        """
        try:
            with aws_errors(f"reading s3://{self._bucket}/{key}"):
                return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except Exception as error:
            if not is_missing(error):
                raise
        return None
