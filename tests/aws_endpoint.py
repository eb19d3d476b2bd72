"""An AWS endpoint as tests see it."""

from dataclasses import dataclass
from typing import Any

import boto3


@dataclass(frozen=True, slots=True)
class Aws:
    """A running AWS endpoint with names of its own for each test, so that tests never meet."""

    endpoint: str
    suffix: str

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def name(self, stem: str) -> str:
        return f"{stem}-{self.suffix}"
