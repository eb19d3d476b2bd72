"""One place turns an outcome into an exit code, and says what to do next."""

import argparse
import logging
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from headwater import cli
from headwater.commands import tables
from schemas.errors import (
    ConfigurationError,
    ConflictError,
    HeadwaterError,
    LogIntegrityError,
    PoisonEventError,
    TransientError,
)


def every_parser() -> Iterator[argparse.ArgumentParser]:
    waiting = [cli.parser()]
    while waiting:
        parser = waiting.pop()
        yield parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting.extend(action.choices.values())


def outcome_of(error: BaseException, monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    def fail(_settings: object) -> None:
        raise error

    monkeypatch.setattr(tables, "load", fail)
    return cli.main([*argv, "tables"])


@pytest.mark.parametrize("parser", list(every_parser()), ids=lambda parser: parser.prog)
def test_every_command_has_help_with_an_example(parser: argparse.ArgumentParser) -> None:
    text = parser.format_help()
    assert "example:\n  headwater " in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("what to change"), 2),
        (LogIntegrityError("log/a bytes 1-2"), 4),
        (TransientError("away"), 5),
        (ConflictError("another was first"), 5),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (PoisonEventError("nobody dead-lettered it"), 1),
        (KeyError("a value"), 1),
    ],
    ids=repr,
)
def test_each_error_has_its_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome_of(error, monkeypatch) == code


def test_every_error_of_ours_that_a_command_may_end_with_has_a_code() -> None:
    told = {kind for kind, _ in cli._EXIT_CODES}
    assert set(HeadwaterError.__subclasses__()) - told == {PoisonEventError}  # that one is never let out


def test_an_error_is_one_line_on_stderr_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome_of(ConfigurationError("what to change"), monkeypatch)
    assert capsys.readouterr() == ("", "headwater: what to change\n")


def test_v_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    outcome_of(ConfigurationError("what to change"), monkeypatch, "-v")
    assert "Traceback" in capsys.readouterr().err


def test_inv7_a_bug_is_told_by_its_type_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome_of(KeyError("a field's value"), monkeypatch)
    told = capsys.readouterr().err
    assert "KeyError" in told
    assert "a field's value" not in told


def test_inv7_v_never_turns_on_botocores_log_of_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome_of(KeyboardInterrupt(), monkeypatch, "-v")
    assert logging.getLogger("headwater").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("botocore").isEnabledFor(logging.INFO)


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"headwater {version('headwater')}\n"


def test_a_missing_region_is_advised_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`headwater up` uses the AWS of AWS_ENDPOINT_URL, too: to start it would end in the same error."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert cli.main(["drain"]) == 2
    told = capsys.readouterr().err
    assert "AWS_DEFAULT_REGION" in told
    assert "headwater up" not in told
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert cli.main(["drain"]) == 2
    assert "set AWS_DEFAULT_REGION" in capsys.readouterr().err


def test_an_unknown_entity_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tables", "scool"]) == 2
    assert 'did you mean "school"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["up", "--port", "65536"],
        ["up", "--port", "x"],
        ["drop", "file"],
        ["drain", "--timeout", "0"],
        ["tables", "--limit", "-1"],
        ["replay", "rebuild"],
        ["replay", "rebuild", "school", "--as-of", "2026-01-31"],
        ["dead-letters", "show"],
        ["dead-letters", "show", ""],
        ["dead-letters", "redrive", " "],
        ["dead-letters", "discard", "", "--reason", "a test"],
        ["replay", "damage", "acknowledge", "log/x", "--reason", " "],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(argv)
    assert exit_.value.code == 2
    assert "usage: headwater" in capsys.readouterr().err
