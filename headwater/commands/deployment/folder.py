"""The folder of rendered files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from headwater.deployment.render import is_rendered
from headwater.deployment.stacks import PACKAGE_KEYS
from schemas.errors import ConfigurationError


def read(folder: Path) -> Mapping[str, bytes]:
    """Return the files that `render` may have written, by path. Raises ConfigurationError."""
    try:
        return {
            path: file.read_bytes()
            for file in sorted(folder.glob("**/*"))
            if file.is_file() and is_rendered(path := file.relative_to(folder).as_posix())
        }
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be read: {error.strerror}") from error


def changes(present: Mapping[str, bytes], files: Mapping[str, str]) -> Mapping[str, str]:
    """Return what is different, by path: files that are new, changed, or no longer rendered."""
    found = {path: "removed" for path in present if path not in files}
    for path, text in files.items():
        if path not in present:
            found[path] = "new"
        elif present[path] != text.encode():
            found[path] = "changed"
    return dict(sorted(found.items()))


def write(folder: Path, files: Mapping[str, str], changed: Mapping[str, str]) -> None:
    """Write what changed, and remove what is no longer rendered. Raises ConfigurationError."""
    try:
        for path, what in changed.items():
            if what == "removed":
                (folder / path).unlink()
            else:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(files[path].encode())
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written: {error.strerror}") from error


def package_keys(present: Mapping[str, bytes]) -> Mapping[str, str]:
    """Return the keys of packages in rendered files, by `<account>/<template>/<parameter>`."""
    return {
        f"{path.removesuffix('.json')}/{name}": value
        for path, content in present.items()
        for name, value in _parameters(content)
        if name in PACKAGE_KEYS
    }


def _parameters(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a file; none for one of another form, which will be written again."""
    try:
        values = json.loads(content)
    except ValueError:
        return
    for one in values if isinstance(values, list) else ():
        if isinstance(one, dict):
            yield str(one.get("ParameterKey")), str(one.get("ParameterValue"))
