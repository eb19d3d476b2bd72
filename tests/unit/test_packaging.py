"""The Lambda packages (cfn/packaging): what goes in, and what is refused. Whole builds: tests/localstack."""

import hashlib
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement

from cfn.packaging.archive import write_zip
from cfn.packaging.imports import distributions_imported, files_of, services_called
from cfn.packaging.inputs import Inputs, check_inputs
from cfn.packaging.python313 import find_python
from cfn.packaging.sbom import bill_of_materials, licence_texts
from cfn.packaging.sides import FUNCTIONS, REPLAY, SIDES, Side
from cfn.packaging.wheels import Wheel, is_needed, needed, project, read_wheel, unpack
from headwater.deployment.templates import read_template
from schemas.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = project(ROOT)["optional-dependencies"]
IMPORTED_AS = {"aws-kinesis-agg": {"aws_kinesis_agg"}, "boto3": {"boto3", "botocore"}}

side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)


def names(requirements: list[str]) -> set[str]:
    return {Requirement(one).name for one in requirements}


@side
def test_the_code_of_a_side_imports_no_more_than_its_extra(side: Side) -> None:
    files = files_of(ROOT, side.entries)
    imported = distributions_imported(files) - {*sys.stdlib_module_names}
    allowed = {name for one in names(EXTRAS[side.name]) for name in IMPORTED_AS.get(one, {one})}
    assert imported, "nothing found: the test would prove nothing"
    if side is REPLAY:  # for the commands of the extras `local` and `deploy`
        allowed |= {"cfn", "moto", "werkzeug", "yaml"}
    assert imported <= allowed


def test_the_extras_of_the_sides_are_what_the_project_depends_on() -> None:
    union = set().union(*(names(EXTRAS[side.name]) for side in FUNCTIONS))
    assert union == names(project(ROOT)["dependencies"])


@pytest.mark.parametrize("side", FUNCTIONS, ids=lambda side: side.name)
def test_a_function_carries_no_other_room(side: Side) -> None:
    rooms = {file.relative_to(ROOT).parts[0] for file in files_of(ROOT, side.entries)}
    room = {"producers": "producers", "scheduler": "headwater"}.get(side.name, "consumers")
    assert rooms == {"schemas", room}


def test_the_scheduler_carries_nothing_of_headwater_but_the_schedule() -> None:
    (scheduler,) = (side for side in SIDES if side.name == "scheduler")
    files = {file.relative_to(ROOT).as_posix() for file in files_of(ROOT, scheduler.entries)}
    others = {name for name in files if not name.startswith(("schemas/", "headwater/schedule/"))}
    assert others == {"headwater/__init__.py"}


def test_every_function_of_the_templates_is_in_its_package() -> None:
    found: dict[str, set[str]] = {}
    for file in (ROOT / "cfn").glob("*.yaml"):
        for resource in read_template(file).body["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                properties = resource["Properties"]
                side = properties["Code"]["S3Key"]["Ref"].removesuffix("Key").lower()
                found.setdefault(side, set()).add(properties["Handler"].removesuffix(".handler"))
    assert found == {side.name: {*side.entries} for side in FUNCTIONS}


def test_the_consumer_carries_no_parser_of_reports() -> None:
    (consumers,) = (side for side in SIDES if side.name == "consumers")
    assert not [file for file in files_of(ROOT, consumers.entries) if "definition" in file.parts]


@side
def test_every_service_of_a_side_is_one_of_botocore(side: Side) -> None:
    import botocore.session

    services = services_called(files_of(ROOT, side.entries))
    assert services <= {*botocore.session.Session().get_available_services()}


def test_a_handler_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"producers\.nothing: no such module"):
        files_of(ROOT, ["producers.nothing"])


def test_imports_in_functions_count_and_those_for_type_checkers_do_not(tmp_path: Path) -> None:
    package = tmp_path / "consumers"
    package.mkdir()
    for name in ("__init__", "late", "typed"):
        (package / f"{name}.py").touch()
    (package / "entry.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import consumers.typed\n"
        "def f(aws):\n    from consumers import late\n    return aws.client('sqs'), client('s3')\n"
    )
    files = files_of(tmp_path, ["consumers.entry"])
    assert [file.stem for file in files] == ["__init__", "entry", "late"]
    assert services_called(files) == {"s3", "sqs", "sts"}


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    content = {"b/z.py": b"z" * 5000, "a.py": b"a", "b/a.txt": b""}
    for folder, order in (("one", sorted(content)), ("two", sorted(content, reverse=True))):
        for number, name in enumerate(order):
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content[name])
            os.utime(file, (number, number))
            file.chmod(0o600 if folder == "one" else 0o755)
        write_zip(tmp_path / folder, tmp_path / f"{folder}.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == sorted(content)
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("pymssql/_mssql.cpython-313-x86_64-linux-gnu.so", True),
        ("pymssql.libs/libssl.so.1", True),
        ("botocore/cacert.pem", True),
        ("botocore/data/endpoints.json", True),
        ("botocore/data/s3/2006-03-01/service-2.json.gz", True),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("pymssql-2.4.6.dist-info/METADATA", True),
        ("pymssql-2.4.6.dist-info/RECORD", False),
        ("pymssql-2.4.6.dist-info/licenses/LICENSE", False),
        ("jmespath-1.1.0.data/scripts/jp.py", False),
        ("fastavro/py.typed", True),
        ("fastavro/_read.pyi", False),
        ("library/tests/test_it.py", False),
        ("library/tests.py", True),
    ],
)
def test_what_of_a_wheel_is_kept(path: str, kept: bool) -> None:
    assert is_needed(PurePosixPath(path), frozenset({"s3"})) is kept


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    shutil.copytree(ROOT / "schemas" / "entities" / "school", home / "entities" / "school")
    (home / "entities" / "school" / "rows.csv").write_text("a,b\n")
    (home / "reports").mkdir()
    return home


def test_only_what_the_loader_reads_of_a_home_is_packed(home: Path) -> None:
    inputs = check_inputs(str(home), "none", None)
    assert {*inputs.entity_files()} == {
        f"schemas/entities/school/{name}" for name in ("entity.toml", "published.json", "v1.avsc")
    }
    assert inputs.report_files() == {}


def test_the_samples_are_packed_without_a_home() -> None:
    inputs = Inputs(None, None)
    assert "schemas/entities/teacher/v1.avsc" in inputs.entity_files()
    assert "consumers/reporting/renewals_due.sql" in inputs.report_files()


def test_a_bad_entity_or_report_refuses_the_build(home: Path) -> None:
    (home / "reports" / "broken.sql").write_text("select from")
    with pytest.raises(ConfigurationError, match=r"broken\.sql"):
        check_inputs(str(home), "none", None)
    (home / "entities" / "school" / "entity.toml").write_text("key = 3")
    with pytest.raises(ConfigurationError, match=r"entity\.toml"):
        check_inputs(str(home), "none", None)


def test_the_build_asks_for_a_ca_bundle_and_checks_it(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(b"certificates")
    right = hashlib.sha256(b"certificates").hexdigest()
    for given, digits, message in (
        (None, None, "CA_BUNDLE=none builds"),
        (str(bundle), None, "CA_SHA256: 64 hexadecimal digits"),
        (str(bundle), "0" * 64, "is not CA_SHA256"),
        (str(tmp_path / "absent.pem"), right, "is not a file"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            check_inputs(None, given, digits)
    assert check_inputs(None, str(bundle), right.upper()).ca_bundle == bundle
    assert check_inputs(None, "none", None).ca_bundle is None


def test_another_python_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "python3.13"
    for script in ("#!/bin/sh\nexit 1\n", None):
        if script:
            other.write_text(script)
            other.chmod(0o755)
        else:
            other.unlink()
        with pytest.raises(ConfigurationError, match=r"uv python install 3\.13.*PYTHON313=path"):
            find_python(str(other))


def wheel(folder: Path, name: str, files: dict[str, str], *metadata: str) -> Wheel:
    file = folder / f"{name}-1.0-py3-none-any.whl"
    lines = "\n".join(("Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *metadata))
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in {f"{name}-1.0.dist-info/METADATA": f"{lines}\n", **files}.items():
            archive.writestr(path, content)
    return read_wheel(file)


CONTAINED = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.4",
    "version": 1,
    "components": [{"type": "library", "bom-ref": "ssl", "name": "openssl", "version": "1.1.1k"}],
}


@pytest.fixture
def wheels(tmp_path: Path) -> list[Wheel]:
    info = "outer-1.0.dist-info"
    licences = {f"{info}/licenses/": "", f"{info}/licenses/LICENSE": "Do as you like.\n"}
    return [
        wheel(tmp_path, "inner", {"inner/__init__.py": ""}, "License-Expression: MIT"),
        wheel(
            tmp_path,
            "outer",
            {"outer.py": "", f"{info}/sboms/a.cdx.json": json.dumps(CONTAINED), **licences},
            "License: Apache License",
            "Requires-Dist: Inner>=1",
            'Requires-Dist: unneeded; python_version < "3.13"',
            'Requires-Dist: unneeded; extra == "more"',
        ),
        wheel(tmp_path, "other", {}),
    ]


def test_a_side_gets_what_its_requirements_need_in_lambda(wheels: list[Wheel]) -> None:
    assert [one.name for one in needed(["outer>=1"], wheels, "arm64")] == ["inner", "outer"]
    with pytest.raises(ConfigurationError, match="inner: no wheel for arm64"):
        needed(["outer"], wheels[1:], "arm64")


def test_the_bill_of_materials_names_wheels_and_the_libraries_in_them(wheels: list[Wheel]) -> None:
    def bill() -> str:
        return bill_of_materials("headwater-producers-arm64", "0.1.0", "ab" * 32, wheels[:2], "arm64")

    assert bill() == bill()
    document = json.loads(bill())
    inner, outer = document["components"]
    assert (inner["purl"], inner["licenses"]) == ("pkg:pypi/inner@1.0", [{"license": {"id": "MIT"}}])
    assert inner["hashes"] == [{"alg": "SHA-256", "content": wheels[0].sha256}]
    assert [part["name"] for part in outer["components"]] == ["openssl"]
    needs = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert needs["pkg:pypi/outer@1.0"] == ["pkg:pypi/inner@1.0"]
    assert document["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]


def test_licences_are_listed_with_their_texts(wheels: list[Wheel]) -> None:
    text = licence_texts(wheels)
    assert "outer 1.0: Apache License" in text
    assert "Do as you like." in text
    assert "other 1.0: see the text\n\nThe package has no text of its licence." in text


def test_a_wheel_is_unpacked_without_what_lambda_never_reads(wheels: list[Wheel], tmp_path: Path) -> None:
    unpack(wheels[1], frozenset(), tmp_path / "task")
    files = {str(f.relative_to(tmp_path / "task")) for f in (tmp_path / "task").rglob("*") if f.is_file()}
    assert files == {"outer.py", "outer-1.0.dist-info/METADATA"}
