"""`make package`: build the packages of the Lambda functions (docs/packages.md)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cfn.packaging.build import build
from cfn.packaging.inputs import NO_BUNDLE, check_inputs
from cfn.packaging.python313 import find_python
from cfn.packaging.sides import ARCHES
from schemas.errors import ConfigurationError

_DONE, _REFUSED = 0, 2


def main(words: list[str]) -> int:
    """Build what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="make package", description="Build the packages of the Lambda functions."
    )
    parser.add_argument("--home", help="a folder with entities/ and reports/; default the samples")
    parser.add_argument("--arch", choices=[*ARCHES, "both"], default="both")
    parser.add_argument("--ca-bundle", help=f"the certificate authorities of SQL Server, or {NO_BUNDLE}")
    parser.add_argument("--ca-sha256", help="the SHA-256 of the bundle")
    parser.add_argument("--out", type=Path, default=Path("dist", "lambda"))
    parser.add_argument("--python313", help="the Python 3.13 to build with; default the one that is found")
    options = parser.parse_args(words)
    try:
        _build(options)
    except ConfigurationError as error:
        print(f"make package: {error}", file=sys.stderr)
        return _REFUSED
    return _DONE


def _build(options: argparse.Namespace) -> None:
    inputs = check_inputs(options.home, options.ca_bundle, options.ca_sha256)
    if inputs.ca_bundle is None:
        print("no CA bundle: these packages do not check SQL Server's certificate", file=sys.stderr)
    arches = ARCHES if options.arch == "both" else (options.arch,)
    for package in build(find_python(options.python313), inputs, arches, options.out):
        print(f"{package.key}  {package.file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
