"""AWS clients that act as the role of the settings where they call Kinesis.

consumers/aws_clients.py is the same for consumers: no room that both may import can depend on boto3.
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


def aws_clients(settings: Settings, session: Any = None, **options: Any) -> Callable[[str], Any]:
    """Return a function that creates a client of an AWS service by its name.

    `session` is of boto3 (default: a new one), and `options` are those of its `client`. Clients of Kinesis
    are in the region of the stream's ARN, and act as the stream's role if the settings name one.
    Raises ConfigurationError.
    """
    session = session or boto3.session.Session()
    region = parse_stream(settings.stream).region

    @cache
    def stream_session() -> Any:
        role = settings.stream_role
        return _assume(role, session.client("sts", **options)) if role else session

    def client(service: str) -> Any:
        if service == "kinesis":
            return stream_session().client(service, region_name=region, **options)
        return session.client(service, **options)

    return client


def _assume(role: str, sts: Any) -> Any:
    """Return a session that assumes the role at its first call, and again before the credentials expire."""
    # The session's name is what CloudTrail shows as the caller.
    assume = create_assume_role_refresher(sts, {"RoleArn": role, "RoleSessionName": "headwater"})

    def refresh() -> dict[str, Any]:
        with aws_errors(f"AssumeRole of {role}"):
            return dict(assume())

    credentials = DeferredRefreshableCredentials(refresh, "sts-assume-role")
    session = botocore.session.get_session()
    provider = SimpleNamespace(load_credentials=lambda: credentials)
    session.register_component("credential_provider", provider)
    return boto3.session.Session(botocore_session=session)
