"""Every permission of the templates is there because the pipe breaks without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from iam import story
from iam.forbidden import FORBIDDEN, World
from iam.installation import Secrets, installation
from iam.judge import Judge, missing_tool

from schemas.catalog.loader import load_catalog

if TYPE_CHECKING:
    pass

pytestmark = [
    pytest.mark.skipif(missing_tool() is not None, reason=str(missing_tool())),
    pytest.mark.timeout(900),  # the pipe is run once, which takes a minute
]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same deployment, without a run of its functions."""
    folder = tmp_path_factory.mktemp("world")
    homes = story.Homes(folder / "producers", folder / "consumers")
    homes.write()
    secrets = Secrets()
    return World(installation(load_catalog(homes.producers), secrets), secrets)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_it_is_denied_to(world: World, judge: Judge, name: str) -> None:
    requests = list(FORBIDDEN[name](world))
    assert requests
    assert [request for request in requests if world.deployment.judge(request, judge).allowed] == []
