"""The Python 3.13 that downloads wheels and compiles byte-code: a .pyc is of one version of Python only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from schemas.errors import ConfigurationError

_USABLE = "import sys, pip; sys.exit(sys.version_info[:2] != (3, 13))"
_TASK = "/var/task"  # where Lambda unpacks a package: the path in tracebacks


def find_python(chosen: str | None = None) -> str:
    """Return a Python 3.13 that has pip: the chosen one, or one from PATH, pyenv or uv.

    Raises ConfigurationError.
    """
    for python in [chosen] if chosen else _candidates():
        if _is_usable(python):
            return python
    raise ConfigurationError(
        f"{chosen or 'python3.13'}: no Python 3.13 with pip found; the packages hold byte-code of Lambda's "
        "python3.13. Install one (`uv python install 3.13`, `pyenv install 3.13`) or name it: make package "
        "PYTHON313=path"
    )


def run(python: str, arguments: Sequence[str], **variables: str) -> None:
    """Run a module of Python 3.13, with these variables beside the environment's.

    Its own messages go to standard error. Raises ConfigurationError if it fails.
    """
    done = subprocess.run(
        [python, "-m", *arguments], env={**os.environ, **variables}, stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise ConfigurationError(
            f"{Path(python).name} -m {' '.join(arguments[:2])} failed: see the lines above"
        )


def compile_all(python: str, folder: Path) -> None:
    """Add byte-code that Python uses without looking at the source. Raises ConfigurationError.

    The dates of files in a Lambda are those of the zip, so byte-code checked by date would be compiled again
    in every cold start.
    """
    mode = ["--invalidation-mode", "unchecked-hash"]
    paths = ["-s", str(folder), "-p", _TASK]  # no path of the building machine in the byte-code
    run(python, ["compileall", "-q", "-j", "1", *mode, *paths, str(folder)], PYTHONHASHSEED="0")


def _candidates() -> Iterator[str]:
    yield sys.executable
    yield from filter(None, [shutil.which("python3.13")])
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(map(str, pyenv.glob("versions/3.13*/bin/python3.13")))
    if uv := shutil.which("uv"):
        found = subprocess.run([uv, "python", "find", "3.13"], capture_output=True, text=True, check=False)
        yield from found.stdout.split("\n")[:1]


def _is_usable(python: str) -> bool:
    try:
        return subprocess.run([python, "-c", _USABLE], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
