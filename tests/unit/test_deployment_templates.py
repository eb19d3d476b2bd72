"""Parameters are judged as CloudFormation judges them, by what the template declares."""

import tomllib
from pathlib import Path

import pytest

from headwater.deployment.templates import FOLDER, Parameter, load_templates, read_template
from schemas.errors import ConfigurationError


@pytest.mark.parametrize(
    ("declared", "value", "allowed"),
    [
        (Parameter("A", "String"), "", None),
        (Parameter("A", "String", pattern="[a-z]{2}"), "ab", None),
        (
            Parameter("A", "String", pattern="[a-z]{2}"),
            "abc",
            "text that matches [a-z]{2}",
        ),  # the whole value
        (Parameter("A", "String", pattern="[a-z]{2}", constraint="two letters"), "abc", "two letters"),
        (Parameter("A", "CommaDelimitedList", pattern="[a-z]"), "a, b", None),  # each value of a list
        (Parameter("A", "CommaDelimitedList", pattern="[a-z]"), "a,1", "text that matches [a-z]"),
        (Parameter("A", "String", values=("x", "y")), "x", None),
        (Parameter("A", "String", values=("x", "y")), "z", "x, y"),
        (Parameter("A", "String", lengths=(2, 3)), "a", "2 to 3 characters"),
        (Parameter("A", "Number", range=(24, 8760)), "24", None),
        (Parameter("A", "Number", range=(24, 8760)), "23", "a number from 24 to 8760"),
        (Parameter("A", "Number", range=(24, 8760)), "a day", "a whole number"),
        (Parameter("A", "Number", range=(24, 8760)), "100.5", "a whole number"),
        (Parameter("A", "List<Number>", range=(1, 2)), "1,3", "a number from 1 to 2"),
        (Parameter("A", "List<AWS::EC2::Subnet::Id>"), "subnet-1,subnet-2", None),
    ],
)
def test_a_value_is_judged_by_the_declaration(declared: Parameter, value: str, allowed: str | None) -> None:
    assert declared.allowed(value) == allowed


def test_short_forms_are_read_as_the_long_ones(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text(
        "Parameters:\n  Flag: {Type: String, Default: true, AllowedValues: [true, false]}\n"
        "Resources:\n  A: {Name: !Sub 'a-${Flag}', Arn: !GetAtt B.Arn, If: !If [X, !Ref Flag, 1],"
        " Version: 2012-10-17}\n"
    )
    template = read_template(file)
    assert template.name == "some"
    assert template.parameters["Flag"].default == "true"
    assert template.parameters["Flag"].values == ("true", "false")
    assert template.body["Resources"]["A"] == {
        "Name": {"Fn::Sub": "a-${Flag}"},
        "Arn": {"Fn::GetAtt": "B.Arn"},
        "If": {"Fn::If": ["X", {"Ref": "Flag"}, 1]},
        "Version": "2012-10-17",
    }


@pytest.mark.parametrize("text", ["a: [", "\udcff"])
def test_a_file_that_is_no_template_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "some.yaml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match=r"some\.yaml"):
        read_template(file)


def test_a_folder_without_templates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found no template"):
        load_templates(tmp_path)


def test_every_template_declares_parameters_that_are_understood() -> None:
    """A default that the check would refuse is a mistake of one of the two."""
    for template in load_templates().values():
        for parameter in template.parameters.values():
            if parameter.default is not None:
                assert parameter.allowed(parameter.default) is None, (template.name, parameter)


def test_the_templates_are_part_of_the_package() -> None:
    root = Path(__file__).resolve().parents[2]
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "cfn" in wheel["packages"]
    assert wheel["exclude"] == ["cfn/packaging"]  # the build of the zips
    assert root / "cfn" == FOLDER
