"""Fixtures that several rooms' tests share: the real HTTP AWS on this machine, and the real data."""

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_endpoint import Aws
from hypothesis import HealthCheck, settings

from headwater.embedded.aws import EmbeddedAws

settings.register_profile(
    "default",
    max_examples=60,
    deadline=None,  # two noisy cores: tests never time
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("deep", settings.get_profile("default"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# A shell's background job has it ignored, and would hand that on to the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """The embedded AWS of `headwater up`: real HTTP in a process of its own, no mocks."""
    with EmbeddedAws() as server:
        yield server.endpoint


@pytest.fixture
def aws(aws_endpoint: str) -> Aws:
    return Aws(aws_endpoint, uuid.uuid4().hex[:10])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data that nobody here made; it lies beside the checkout and is never copied in."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data (../shared/data) is not beside this checkout")
    return SHARED_DATA
