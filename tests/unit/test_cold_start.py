"""What a cold start of the consumer leaves out: clients, engines and data files that it does not use."""

import gzip
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import botocore
import pytest
from botocore.model import ServiceModel
from botocore.regions import EndpointResolver

from cfn.packaging.botocore_data import endpoint_prefixes, reduced
from consumers import handler, wiring
from consumers.warehouse.engines import open_warehouse
from consumers.wiring import LateClient
from schemas.catalog.loader import load_catalog
from schemas.settings import Settings

DATA = Path(str(botocore.__file__)).parent / "data"
CALLED = frozenset({"kinesis", "monitoring", "s3", "secretsmanager", "sqs", "sts"})


def test_a_late_client_is_created_once_and_when_it_is_used() -> None:
    created: list[str] = []

    def create() -> str:
        created.append("s3")
        return "a text"

    client = LateClient(create)
    assert not created
    assert client.upper() == "A TEXT"
    assert client.title() == "A Text"
    assert created == ["s3"]


def test_the_consumer_creates_no_client_of_s3_before_it_needs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'w.db'}"
    open_warehouse(url, load_catalog().entities.values()).ensure()
    created: list[str] = []

    def clients(_settings: Settings) -> Callable[[str], Any]:
        return lambda service: created.append(service)

    monkeypatch.setattr(wiring, "aws_clients", clients)
    handler.build(Settings(warehouse=url))
    assert created == ["kinesis"]
    handler.build(Settings(warehouse=url), clients(Settings()))
    assert created == ["kinesis", "kinesis", "s3"], "where there are threads, all at the start"


def test_the_consumer_imports_no_boto3_and_the_engine_when_it_is_known() -> None:
    code = "import sys, consumers.handler; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"boto3", "s3transfer", "sqlite3", "pymssql", "sqlglot"} & {*done.stdout.split()}


def test_endpoints_of_the_services_called_stay_in_all_regions() -> None:
    path = PurePosixPath("botocore/data/endpoints.json")
    content = (DATA / "endpoints.json").read_bytes()
    packed = reduced(path, content, CALLED)
    assert len(packed) < len(content) / 20
    full, less = json.loads(content), json.loads(packed)
    before, after = EndpointResolver(full), EndpointResolver(less)
    for partition in full["partitions"]:
        for region in (*partition["regions"], f"{partition['partition']}-global"):
            for service in CALLED:
                assert after.construct_endpoint(service, region) == before.construct_endpoint(service, region)
    for one in (*full["partitions"], *less["partitions"]):
        del one["services"]
    assert full == less


@pytest.mark.parametrize("service", sorted({"kinesis", "s3", "sts"}))
def test_a_model_loses_its_documentation_alone(service: str) -> None:
    (file,) = (DATA / service).glob("*/service-2.json.gz")
    path = PurePosixPath("botocore", "data", *file.relative_to(DATA).parts)
    packed = reduced(path, file.read_bytes(), CALLED)
    assert packed == reduced(path, file.read_bytes(), CALLED), "two builds are equal"
    full, less = (json.loads(gzip.decompress(content)) for content in (file.read_bytes(), packed))
    assert differences(full, less) == {"documentation"}
    # What botocore asks a model for at each call, texts included.
    before, after = ServiceModel(full, service), ServiceModel(less, service)
    names = [parameter.name for parameter in before.client_context_parameters]
    assert [parameter.name for parameter in after.client_context_parameters] == names


def differences(full: Any, less: Any) -> set[str]:
    """Return the names whose texts are empty in the second model only. Raises AssertionError for more."""
    if isinstance(full, dict):
        assert full.keys() == less.keys()
        emptied = {name for name in full if full[name] and less[name] == ""}
        return emptied.union(*(differences(full[name], less[name]) for name in full.keys() - emptied))
    if isinstance(full, list):
        return set().union(*map(differences, full, less))
    assert full == less
    return set()


def test_a_member_named_documentation_stays() -> None:
    model = {"documentation": "x", "shapes": {"S": {"members": {"documentation": {"shape": "T"}}}}}
    path = PurePosixPath("botocore/data/one/1/service-2.json.gz")
    packed = reduced(path, gzip.compress(json.dumps(model).encode()), CALLED)
    assert json.loads(gzip.decompress(packed)) == {**model, "documentation": ""}


def test_other_files_stay_as_they_are() -> None:
    for path in ("botocore/data/partitions.json", "other/data/endpoints.json", "botocore/session.py"):
        assert reduced(PurePosixPath(path), b"{ }", CALLED) == b"{ }"


def test_a_service_is_named_in_endpoints_as_its_model_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "botocore.whl", "w") as archive:
        for service, prefix in (("cloudwatch", "monitoring"), ("s3", "s3")):
            model = json.dumps({"metadata": {"endpointPrefix": prefix}}).encode()
            archive.writestr(f"botocore/data/{service}/1/service-2.json.gz", gzip.compress(model))
        assert endpoint_prefixes(archive, ["cloudwatch"]) == {"monitoring"}
