"""One LocalStack for all tests of `make e2e`. Here a skip is a failure."""

from collections.abc import Iterator

import localstack_server
import pytest


@pytest.fixture(scope="session")
def localstack() -> Iterator[str]:
    """Host and port of LocalStack, for localstack-client."""
    with pytest.MonkeyPatch.context() as patch, localstack_server.running() as host:
        patch.delenv("AWS_ENDPOINT_URL", raising=False)  # the client would go there
        yield host


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.skipped:
        report.outcome, report.longrepr = "failed", f"skipped, which is a failure here: {report.longrepr[2]}"
    return report
