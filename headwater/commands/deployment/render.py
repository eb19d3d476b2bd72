"""`headwater cfn render`: write what CloudFormation needs beside the templates."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from headwater.commands.deployment.arguments import add_deployment, plan_of
from headwater.deployment.render import is_rendered, render
from headwater.exit_codes import DONE, FINDINGS
from headwater.output import counted, show, tell
from headwater.parsing import Commands, add_command
from schemas.errors import ConfigurationError


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    cfn = add_command(
        commands, "cfn", "write what CloudFormation needs", example="headwater cfn render --home home"
    )
    actions = cfn.add_subparsers(dest="action", metavar="ACTION", required=True)
    parser = add_command(
        actions,
        "render",
        "write parameters and mappings from deployment.toml and the entities",
        example="headwater cfn render --home home",
        run=run,
        description=(
            "Writes for each account the parameters of every template, and tables.yaml with one event "
            "source mapping for each DynamoDB table of the entities. The same input gives the same bytes: "
            "commit the files, and a diff shows what a deployment will change. Where a parameter has no "
            "value yet, such as an output of a stack that is not deployed, the file is not written, and "
            "stderr names what it waits for. Writes nothing, with exit code 2, if `headwater deploy check` "
            "refuses anything else."
        ),
    )
    add_deployment(parser)
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="the folder to write to (deployment/ beside the file)"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 3 if a file would change"
    )


def run(options: argparse.Namespace) -> int:
    """Return exit code 0, or 3 if `--check` finds a difference. Raises ConfigurationError."""
    plan = plan_of(options)
    if plan.problems:
        raise ConfigurationError(
            "\n".join((f"{plan.file} is refused, and nothing was written:", *plan.problems))
        )
    rendered = render(plan.deployment, plan.stacks)
    into: Path = options.into or plan.file.parent / "deployment"
    changes = _changes(into, rendered.files)
    for path, what in changes.items():
        show(f"{what:<8} {into / path}")
    if not options.check:
        _write(into, rendered.files, changes)
    for path, names in rendered.waiting.items():
        tell(f"{into / path} waits for {', '.join(names)}")
    tell(
        f"{counted(len(changes), 'file')} of {len(rendered.files)} changed" if changes else "nothing changed"
    )
    return FINDINGS if changes and options.check else DONE


def _changes(into: Path, files: Mapping[str, str]) -> Mapping[str, str]:
    """Return what is different on disk, by path: files that are new, changed, or no longer rendered."""
    present = {
        path: file.read_bytes()
        for file in into.glob("**/*")
        if file.is_file() and is_rendered(path := file.relative_to(into).as_posix())
    }
    changes = {path: "removed" for path in present if path not in files}
    for path, text in files.items():
        if path not in present:
            changes[path] = "new"
        elif present[path] != text.encode():
            changes[path] = "changed"
    return dict(sorted(changes.items()))


def _write(into: Path, files: Mapping[str, str], changes: Mapping[str, str]) -> None:
    try:
        for path, what in changes.items():
            if what == "removed":
                (into / path).unlink()
            else:
                (into / path).parent.mkdir(parents=True, exist_ok=True)
                (into / path).write_bytes(files[path].encode())
    except OSError as error:
        raise ConfigurationError(f"{into}: cannot be written: {error.strerror}") from error
