"""What the tests of permissions share: the calls of a whole pipe, and the judge of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from iam import story
from iam.calls import Call
from iam.deployment import Deployment
from iam.installation import installation
from iam.judge import Judge
from iam.proxy import read_calls, serving

from headwater.embedded.aws import EmbeddedAws
from schemas.catalog.loader import load_catalog


class Pipe(NamedTuple):
    """The permissions of a deployment, and every call that its functions made."""

    deployment: Deployment
    calls: Sequence[Call]


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


@pytest.fixture(scope="session")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Pipe:
    """Every function of the templates, run on the embedded AWS as its role."""
    folder = tmp_path_factory.mktemp("pipe")
    homes = story.Homes(folder / "producers", folder / "consumers")
    homes.write()
    warehouse = f"sqlite:///{folder / 'warehouse.db'}"
    with EmbeddedAws() as aws:
        secrets = story.make_secrets(aws.endpoint, warehouse)
        deployment = installation(load_catalog(homes.producers), secrets)
        return Pipe(deployment, _played(aws.endpoint, deployment, homes, warehouse, folder / "calls"))


def _played(
    endpoint: str, deployment: Deployment, homes: story.Homes, warehouse: str, calls: Path
) -> Sequence[Call]:
    proxy = story.MotoProxy(endpoint.removeprefix("http://"), calls, deployment)
    with serving(proxy) as front:
        stage = story.Stage(endpoint, front, proxy, deployment, homes, warehouse)
        try:
            for step in story.STEPS:
                step(stage)
        finally:
            story.forget_all(deployment)
    return read_calls(calls)
