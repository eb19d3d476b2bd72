"""AWS clients that act as the role of the settings where they call Kinesis.

consumers/aws_clients.py is the same for consumers: no room that both may import can depend on botocore.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
from botocore.credentials import DeferredRefreshableCredentials, create_assume_role_refresher

from schemas.aws_errors import aws_errors
from schemas.settings import Settings
from schemas.stream import parse_stream


def aws_clients(
    settings: Settings, create: Callable[..., Any] | None = None, **options: Any
) -> Callable[[str], Any]:
    """Return a function that creates a client of an AWS service by its name.

    `create` creates a client with the process's credentials (default: boto3's, for its methods of S3), and
    `options` are passed to it. Clients of Kinesis are in the region of the stream's ARN, and act as the
    stream's role if the settings name one. Raises ConfigurationError.
    """
    make: Callable[..., Any] = create or boto3.session.Session().client
    region = parse_stream(settings.stream).region

    @cache
    def make_kinesis() -> Callable[..., Any]:
        role = settings.stream_role
        return _assume(role, make("sts", **options)) if role else make

    def client(service: str) -> Any:
        if service == "kinesis":
            return make_kinesis()(service, region_name=region, **options)
        return make(service, **options)

    return client


def _assume(role: str, sts: Any) -> Callable[..., Any]:
    """Return a function that creates clients which act as the role.

    They assume it at their first call, and again before the credentials expire.
    """
    # The session's name is what CloudTrail shows as the caller.
    assume = create_assume_role_refresher(sts, {"RoleArn": role, "RoleSessionName": "headwater"})

    def refresh() -> dict[str, Any]:
        with aws_errors(f"AssumeRole of {role}"):
            return dict(assume())

    credentials = DeferredRefreshableCredentials(refresh, "sts-assume-role")
    session = botocore.session.get_session()
    provider = SimpleNamespace(load_credentials=lambda: credentials)
    session.register_component("credential_provider", provider)
    return session.create_client
