"""`headwater cfn render` and `headwater deploy check`, as a person and a CI call them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from deployments import COMPLETE, REPORTING, SECOND, SOURCE, ZIP, changed, stream_arn, toml
from entity_homes import DYNAMODB, write

from headwater import cli
from headwater.deployment.templates import load_templates, read_template

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("HEADWATER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*argv: str, values: Mapping[str, Any] = COMPLETE) -> tuple[int, str, str]:
        (tmp_path / "deployment.toml").write_text(toml(values), encoding="utf-8")
        code = cli.main([*argv, "--file", "deployment.toml"])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.*") if file.is_file()
    }


def parameters(folder: Path, template: str) -> dict[str, str]:
    (file,) = folder.glob(f"*/{template}.json")
    return {one["ParameterKey"]: one["ParameterValue"] for one in json.loads(file.read_text())}


def test_render_writes_parameters_mappings_and_tags(run: Run, tmp_path: Path) -> None:
    code, out, err = run("cfn", "render")
    assert (code, err) == (0, "9 files of 9 changed\n")
    assert f"new      deployment/{SOURCE}/tables.yaml" in out
    folder = tmp_path / "deployment"
    assert "owner=data-platform" in json.loads((folder / "tags.json").read_text())
    assert parameters(folder, "stream")["SourceAccounts"] == SOURCE
    producers = parameters(folder, "producers")
    assert producers["StreamArn"] == f"arn:aws:kinesis:eu-west-2:{REPORTING}:stream/headwater-prod-events"
    assert producers["LogBucketName"] == f"headwater-prod-log-{REPORTING}-eu-west-2"
    assert producers["CodeBucket"] == f"headwater-prod-artifacts-{SOURCE}-eu-west-2"
    assert producers["SourceStack"] == "headwater-prod-source"


def test_every_parameter_of_a_template_is_written(run: Run, tmp_path: Path) -> None:
    """The AWS CLI keeps the former value of one that is left out, so that a default must be written, too."""
    run("cfn", "render")
    for name, template in load_templates().items():
        for file in (tmp_path / "deployment").glob(f"*/{name}.json"):
            written = [one["ParameterKey"] for one in json.loads(file.read_text())]
            assert written == sorted(template.parameters)


def test_the_same_input_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    run("cfn", "render")
    first = files(tmp_path / "deployment")
    code, out, err = run("cfn", "render")
    assert (code, out, err) == (0, "", "nothing changed\n")
    assert files(tmp_path / "deployment") == first
    backwards = {name: COMPLETE[name] for name in reversed(COMPLETE)}
    run("cfn", "render", "--into", "other", values=backwards)
    assert files(tmp_path / "other") == first


def test_check_finds_what_render_would_change_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    assert run("cfn", "render", "--check")[0] == 3
    assert not (tmp_path / "deployment").exists()
    run("cfn", "render")
    assert run("cfn", "render", "--check")[0] == 0
    before = files(tmp_path / "deployment")
    code, out, _ = run("cfn", "render", "--check", values=changed("reporting.stream.LockDays", 30))
    assert (code, out) == (3, f"changed  deployment/{REPORTING}/stream.json\n")
    assert files(tmp_path / "deployment") == before


def test_a_changed_value_changes_one_line(run: Run, tmp_path: Path) -> None:
    run("cfn", "render")
    file = tmp_path / "deployment" / REPORTING / "stream.json"
    before = file.read_text().splitlines()
    run("cfn", "render", values=changed("reporting.stream.LockDays", 30))
    after = file.read_text().splitlines()
    assert [line for line in after if line not in before] == [
        '  {"ParameterKey": "LockDays", "ParameterValue": "30"},'
    ]
    assert len(after) == len(before)


def test_what_is_no_longer_rendered_is_removed_and_nothing_else(run: Run, tmp_path: Path) -> None:
    values = changed("source.0.tables", [])
    values["source"].append({"account": SECOND, "create-tables": True})
    run("cfn", "render", values=values)
    folder = tmp_path / "deployment"
    (folder / SECOND / "notes.json").write_text("mine")
    (folder / "stream.json").write_text("mine")
    code, out, _ = run("cfn", "render")
    assert code == 0
    assert f"removed  deployment/{SECOND}/tables.yaml" in out
    assert [file.name for file in (folder / SECOND).iterdir()] == ["notes.json"]
    assert (folder / "stream.json").exists()


def test_a_removed_table_leaves_its_file(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        write(tmp_path, name, DYNAMODB.replace("links-table", f"table-{name}"))
    run("cfn", "render", "--home", str(tmp_path))
    file = tmp_path / "deployment" / SOURCE / "tables.yaml"
    before = read_template(file).body["Resources"]
    for part in (tmp_path / "entities" / "two").iterdir():
        part.unlink()
    (tmp_path / "entities" / "two").rmdir()
    run("cfn", "render", "--home", str(tmp_path))
    after = read_template(file).body["Resources"]
    gone = {name: one["Type"] for name, one in before.items() if name not in after}
    assert sorted(gone.values()) == ["AWS::DynamoDB::Table", "AWS::Lambda::EventSourceMapping"]
    assert [before[name] for name in after if name.startswith(("Table", "Mapping"))] == [
        after[name] for name in after if name.startswith(("Table", "Mapping"))
    ]
    assert "table-two" not in file.read_text()


def test_a_file_waits_for_an_output_of_a_stack_that_is_not_deployed(run: Run, tmp_path: Path) -> None:
    code, out, err = run("cfn", "render", values=changed("parameters.StreamKeyArn", None))
    assert code == 0
    assert f"deployment/{SOURCE}/producers.json waits for StreamKeyArn\n" in err
    assert "producers.json" not in out
    assert not (tmp_path / "deployment" / SOURCE / "producers.json").exists()


def test_render_refuses_what_check_refuses_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    code, out, err = run("cfn", "render", values=changed("region", "eu-west-9"))
    assert (code, out) == (2, "")
    assert "deployment.toml is refused, and nothing was written" in err
    assert "eu-west-9" in err
    assert not (tmp_path / "deployment").exists()


def test_a_folder_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "deployment").write_text("a file")
    code, _, err = run("cfn", "render")
    assert code == 2
    assert "deployment: cannot be written" in err


def test_check_has_a_line_for_each_problem(run: Run) -> None:
    assert run("deploy", "check")[0] == 0
    values = changed("region", "eu-west-9")
    values["reporting"]["stream"] = {"LockDays": 0}
    code, out, err = run("deploy", "check", values=values)
    assert code == 2
    assert len(out.splitlines()) == 2
    assert err == "deployment.toml: 2 problems\n"


def test_check_asks_for_the_values_of_the_templates_that_are_named(run: Run) -> None:
    values = changed("parameters.StreamKeyArn", None)
    assert run("deploy", "check", "artifacts", "stream", values=values)[0] == 0
    assert run("deploy", "check", "producers", values=values)[0] == 2
    assert run("deploy", "check", values=values)[0] == 2
    code, _, err = run("deploy", "check", "streem")
    assert code == 2
    assert 'did you mean "stream"?' in err


def test_keys_of_packages_are_those_of_the_manifest(run: Run, tmp_path: Path) -> None:
    values = changed("parameters", {"StreamKeyArn": COMPLETE["parameters"]["StreamKeyArn"]})
    values["parameters"]["LogKeyArn"] = COMPLETE["parameters"]["LogKeyArn"]
    values["source"][0]["producers"] = {"Architecture": "x86_64"}
    names = [
        f"{side}-{machine}"
        for side in ("producers", "consumers", "refresher")
        for machine in ("arm64", "x86_64")
    ]
    manifest = {f"{name}.zip": {"sha256": "ab", "key": f"{name}-ab.zip"} for name in names}
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "manifest.json").write_text(json.dumps(manifest))
    assert run("cfn", "render", "--packages", "dist", values=values)[0] == 0
    folder = tmp_path / "deployment"
    assert parameters(folder, "producers")["ProducersKey"] == "producers-x86_64-ab.zip"
    assert parameters(folder, "consumers")["ConsumersKey"] == "consumers-arm64-ab.zip"
    values["parameters"]["ProducersKey"] = "earlier.zip"  # a rollback
    assert run("cfn", "render", "--packages", "dist", values=values)[0] == 0
    assert parameters(folder, "producers")["ProducersKey"] == "earlier.zip"


def test_without_packages_the_keys_of_what_was_rendered_stay(run: Run, tmp_path: Path) -> None:
    """So that CI can check what is committed, and a table can be added, without building packages."""
    run("cfn", "render")
    values = deepcopy(COMPLETE)
    for name in ("ProducersKey", "ConsumersKey", "RefresherKey"):
        del values["parameters"][name]
    assert run("cfn", "render", "--check", values=values)[:2] == (0, "")
    assert run("deploy", "check", values=values)[0] == 0
    values["source"][0]["producers"] = {"LogLevel": "DEBUG"}
    assert run("cfn", "render", values=values)[1] == f"changed  deployment/{SOURCE}/producers.json\n"
    assert parameters(tmp_path / "deployment", "producers")["ProducersKey"] == ZIP
    (tmp_path / "manifest.json").write_text("{}")  # packages were built, but not these
    code, out, err = run("cfn", "render", "--packages", ".", values=values)
    assert code == 0
    assert f"removed  deployment/{SOURCE}/producers.json" in out
    assert "waits for ProducersKey" in err


@pytest.mark.parametrize("content", ["nothing", "{}", '[1, {"ParameterKey": 1}]'])
def test_a_damaged_file_is_written_again(run: Run, tmp_path: Path, content: str) -> None:
    run("cfn", "render")
    file = tmp_path / "deployment" / SOURCE / "producers.json"
    before = file.read_text()
    file.write_text(content)
    assert run("cfn", "render")[0] == 0
    assert file.read_text() == before


@pytest.mark.parametrize("content", [None, "[]", '{"producers-arm64.zip": {}}', '{"producers-arm64.zip": 1}'])
def test_a_manifest_that_cannot_be_used_is_named(run: Run, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    code, _, err = run("cfn", "render", "--packages", ".")
    assert code == 2
    assert "manifest.json" in err


def test_the_file_is_in_the_home_or_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADWATER_HOME", raising=False)
    write(tmp_path)
    (tmp_path / "deployment.toml").write_text(toml(COMPLETE))
    assert cli.main(["deploy", "check", "--home", str(tmp_path)]) == 0
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    assert cli.main(["deploy", "check"]) == 0
    monkeypatch.delenv("HEADWATER_HOME")
    assert cli.main(["deploy", "check"]) == 2
    assert "--file" in capsys.readouterr().err
    assert cli.main(["deploy", "check", "--file", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_streams_of_existing_tables_are_parameters(run: Run, tmp_path: Path) -> None:
    values = changed("source.0.create-tables", False)
    values["source"][0]["streams"] = {name: stream_arn(name) for name in ("accounts", "subscriptions")}
    run("cfn", "render", values=values)
    arns = {
        value for value in parameters(tmp_path / "deployment", "tables").values() if value.startswith("arn:")
    }
    assert arns == {stream_arn("accounts"), stream_arn("subscriptions")}
    assert "AWS::DynamoDB::Table" not in (tmp_path / "deployment" / SOURCE / "tables.yaml").read_text()
