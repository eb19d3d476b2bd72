"""Every permission of the templates is there because the pipe breaks without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from iam import story
from iam.calls import requests_of
from iam.deployment import Holder
from iam.forbidden import FORBIDDEN, PRODUCERS, World
from iam.installation import PREFIX, REPORTING, SOURCE, Secrets, installation
from iam.judge import ROOT, Judge, missing_tool
from iam.policies import Statement
from iam.proof import Proof
from iam.services import administrators_calls, service_calls

from schemas.catalog.loader import load_catalog

if TYPE_CHECKING:
    from conftest import Pipe

pytestmark = [
    pytest.mark.skipif(missing_tool() is not None, reason=str(missing_tool())),
    pytest.mark.timeout(900),  # the pipe is run once, which takes a minute
]


@pytest.fixture(scope="session")
def proof(pipe: Pipe, judge: Judge) -> Proof:
    """Every request of the pipe, those of AWS and of administrators included, judged once."""
    observed = [request for call in pipe.calls for request in requests_of(call, pipe.deployment)]
    unseen = [*service_calls(pipe.deployment), *administrators_calls(pipe.deployment)]
    others = [call.request for call in unseen]
    return Proof(pipe.deployment, [*observed, *others], judge)


def test_the_pipe_may_do_everything_that_it_does(proof: Proof) -> None:
    assert proof.denied() == []
    assert len(proof.requests) > 500


def test_each_statement_taken_away_breaks_something(proof: Proof) -> None:
    assert proof.unneeded_statements() == []
    assert len(proof.deployment.statements()) > 100


def test_each_action_and_resource_taken_away_breaks_something(proof: Proof) -> None:
    assert proof.unneeded_parts() == []


def test_each_condition_taken_away_allows_what_should_be_denied(proof: Proof) -> None:
    assert proof.unneeded_conditions() == []


@pytest.mark.parametrize("widened", [{"Action": "s3:GetObject"}, {"Action": ["kms:Encrypt", "s3:PutObject"]}])
def test_a_permission_that_nobody_needs_is_found(
    proof: Proof, judge: Judge, widened: dict[str, str | list[str]]
) -> None:
    role = proof.deployment.function_role(f"{PREFIX}-refresher")
    extra = Statement("extra", "extra", {"Effect": "Allow", "Resource": "*", **widened})
    wider = proof.deployment.replaced(role, [*role.statements, extra])
    (found,) = Proof(wider, proof.requests, judge).unneeded_statements()
    assert found.endswith(" extra")


def test_each_page_of_aws_is_in_the_documents(world: World) -> None:
    text = (ROOT / "docs" / "permissions.md").read_text()
    pages = {call.page for call in service_calls(world.deployment)}
    assert {page for page in pages if page not in text} == set()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same deployment, without a run of its functions."""
    folder = tmp_path_factory.mktemp("world")
    homes = story.Homes(folder / "producers", folder / "consumers")
    homes.write()
    catalog, secrets = load_catalog(homes.producers), Secrets()
    return World(installation(catalog, secrets), secrets, catalog)


def test_a_role_for_the_stream_is_assumed_by_producers_alone(world: World, judge: Judge) -> None:
    """Its own policies are the user's, who creates it where no resource policy is wanted."""
    role = f"arn:aws:iam::{REPORTING}:role/writes-the-stream"
    trust = {"Effect": "Allow", "Principal": {"AWS": SOURCE}, "Action": "sts:AssumeRole"}
    deployment = installation(world.catalog, world.secrets, StreamRoleArn=role)
    deployment.add(Holder(role, REPORTING, [Statement("trust", "trust", trust)]))
    there = World(deployment, world.secrets, world.catalog)
    producers = [there.caller(name) for name in PRODUCERS]
    assumed = list(there.ask(there.everyone, "sts:AssumeRole", role))
    allowed = [request.principal for request in assumed if deployment.judge(request, judge).allowed]
    assert allowed == producers
    direct = list(there.ask(producers, "kinesis:PutRecords kinesis:ListShards", there.stream))
    assert not any(deployment.judge(request, judge).allowed for request in direct)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_it_is_denied_to(world: World, judge: Judge, name: str) -> None:
    requests = list(FORBIDDEN[name](world))
    assert requests
    assert [request for request in requests if world.deployment.judge(request, judge).allowed] == []
