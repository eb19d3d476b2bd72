"""One LocalStack for all tests of `make e2e` but those of the deployment. Here a skip is a failure."""

from collections.abc import Iterator
from pathlib import Path

import deployed_story
import deployment
import localstack_server
import pytest


@pytest.fixture(scope="session")
def localstack() -> Iterator[str]:
    """Host and port of LocalStack, for localstack-client."""
    with pytest.MonkeyPatch.context() as patch, localstack_server.running() as host:
        patch.delenv("AWS_ENDPOINT_URL", raising=False)  # the client would go there
        yield host


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[deployment.Deployment]:
    """All stacks in two accounts of a LocalStack in host mode: its functions are processes."""
    folder = tmp_path_factory.mktemp("deployment")
    home, zips = folder / "home", folder / "zips"
    home.mkdir()
    deployed_story.write_home(home)
    deployment.build_zips(home, zips)
    with deployment.running(folder, home, zips) as running:
        deployed_story.deploy(running)
        yield running


@pytest.fixture(scope="session")
def played(
    deployed: deployment.Deployment, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> deployed_story.Story:
    """What was seen of the deployment; its stacks are still there."""
    return deployed_story.play(deployed, shared_data, tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def taken_down(deployed: deployment.Deployment, played: deployed_story.Story) -> deployed_story.Story:
    """What was seen once its stacks were deleted."""
    deployed_story.take_down(deployed, played)
    return played


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.skipped:
        report.outcome, report.longrepr = "failed", f"skipped, which is a failure here: {report.longrepr[2]}"
    return report
