"""The file of a deployment and all that is derived from it, as the command line names them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from headwater.commands.deployment.folder import package_keys, read
from headwater.commands.schemas.arguments import add_home, settings_of
from headwater.deployment.checks import problems
from headwater.deployment.deployment import (
    PEERING,
    RENDERED,
    REPORTING,
    SOURCE,
    Deployment,
    read_deployment,
)
from headwater.deployment.stacks import Stack, stacks_of
from headwater.deployment.templates import load_templates
from headwater.output import listed
from schemas.catalog.files import naming, read_json
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError
from schemas.refusals import unknown

FILE = "deployment.toml"
PACKAGES = Path("dist/lambda")  # where `make package` writes them
_MANIFEST = "manifest.json"


class Plan(NamedTuple):
    """A deployment with its stacks, and what is wrong with it."""

    file: Path
    into: Path
    """The folder of rendered files."""
    present: Mapping[str, bytes]
    """The files that are there."""
    deployment: Deployment
    stacks: list[Stack]
    problems: list[str]


def add_deployment(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the file, the entities, the packages and the rendered files."""
    add_home(parser)
    parser.add_argument("--file", type=Path, metavar="FILE", help=f"the deployment (HOME/{FILE})")
    parser.add_argument(
        "--packages",
        type=Path,
        metavar="DIR",
        help=f"the folder of the packages and their {_MANIFEST} ({PACKAGES}; if there is none, what was "
        "rendered before stays)",
    )
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="the folder of rendered files (deployment/ beside the file)"
    )


def add_templates(parser: argparse.ArgumentParser) -> None:
    """Add the argument that chooses stacks by their templates."""
    parser.add_argument("templates", nargs="*", metavar="TEMPLATE", help="such as stream; all by default")


def chosen(options: argparse.Namespace, stacks: Iterable[Stack]) -> list[Stack]:
    """Return the stacks of the templates that the options name.

    Raises ConfigurationError for a template of which there is none: what was not looked at is not in order.
    """
    stacks = list(stacks)
    known = tuple(dict.fromkeys((*REPORTING, *SOURCE, PEERING, *RENDERED)))
    present = {stack.template.name for stack in stacks}
    for name in options.templates:
        if name not in known:
            raise unknown("template", name, known)
        if name not in present:
            raise ConfigurationError(
                f"template {name}: no stack here; allowed: {listed(sorted(present))}. An optional stack "
                f"needs a table in {FILE}, and a stack of another account that account's credentials"
            )
    return [stack for stack in stacks if not options.templates or stack.template.name in options.templates]


def plan_of(options: argparse.Namespace) -> Plan:
    """Return the deployment that the options name. Raises ConfigurationError."""
    home = settings_of(options).home
    file = options.file or (home and home / FILE)
    if file is None:
        raise ConfigurationError(f"--file: name the {FILE}, or the folder of it and of entities/ by --home")
    into: Path = options.into or file.parent / "deployment"
    present = read(into)
    catalog, templates = load_catalog(home), load_templates()
    deployment, wrong = read_deployment(file)
    packages = _packages(options.packages)
    former = package_keys(present) if packages is None else {}
    stacks = stacks_of(deployment, catalog, templates, packages or {}, former)
    wrong += problems(deployment, catalog, templates, stacks, _regions())
    return Plan(file, into, present, deployment, stacks, wrong)


def _packages(folder: Path | None) -> Mapping[str, str] | None:
    """Return the keys of the packages in the bucket of the code, by file name; None if none were built here.

    Raises ConfigurationError.
    """
    file = (folder or PACKAGES) / _MANIFEST
    if folder is None and not file.is_file():
        return None
    with naming(file):
        manifest = read_json(file, "manifest", "an object")
        try:
            return {name: str(entry["key"]) for name, entry in manifest.items()}
        except (KeyError, TypeError):
            raise ConfigurationError("a package has no key; run `make package` again") from None


def _regions() -> set[str]:
    """Return the regions of Lambda that boto3 knows, in all partitions. No call is made."""
    import boto3

    session = boto3.session.Session()
    return {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("lambda", partition)
    }
