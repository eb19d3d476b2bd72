"""The bill of materials of a package, in CycloneDX, and the texts of the licences: files beside the zip."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.message import Message
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from cfn.packaging.sides import Arch
from cfn.packaging.wheels import Wheel, environment

_DATE = datetime(1980, 1, 1, tzinfo=UTC)  # that of the zips: the same package gives the same bytes
_SBOM = re.compile(r"\.cdx\.json$")
_LONGEST_NAME = 100  # longer ones in a License field are whole texts


def bill_of_materials(name: str, version: str, digest: str, wheels: Iterable[Wheel], arch: Arch) -> str:
    """Return the CycloneDX document, in JSON, of the zip with this SHA-256.

    Libraries that a wheel contains, such as OpenSSL in that of pymssql, are parts of its component, as far as
    the wheel lists them.
    """
    package = Component(
        name=name,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=name,
        hashes=[_hash(digest)],
    )
    bom = Bom(
        metadata=BomMetaData(component=package, timestamp=_DATE),
        serial_number=uuid5(NAMESPACE_URL, f"sha256:{digest}"),
    )
    components = {wheel: _component(wheel) for wheel in wheels}
    by_name = {wheel.name: component for wheel, component in components.items()}
    for wheel, component in components.items():
        bom.components.add(component)
        bom.register_dependency(component, [by_name[one] for one in wheel.requires(environment(arch))])
    bom.register_dependency(package, components.values())
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    return json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def licence_texts(wheels: Iterable[Wheel]) -> str:
    """Return the licences of all wheels as one text."""
    return "\n".join(part for wheel in wheels for part in _licences(wheel))


def _licences(wheel: Wheel) -> Iterator[str]:
    texts = wheel.licences()
    yield f"{'=' * 100}\n{wheel.name} {wheel.version}: {licence_name(wheel.metadata) or 'see the text'}\n"
    if not texts:
        yield "The package has no text of its licence.\n"
    for file, text in texts.items():
        yield f"{'-' * 100}\n{file}\n\n{text}"


def licence_name(metadata: Message) -> str | None:
    """Return the SPDX expression or the name of a licence, None where the metadata has neither."""
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier", [])
        if line.startswith("License ::")
    ]
    names = [metadata["License-Expression"], metadata["License"], " and ".join(classifiers)]
    return next((name for name in names if name and "\n" not in name and len(name) <= _LONGEST_NAME), None)


def _component(wheel: Wheel) -> Component:
    purl = PackageURL("pypi", name=wheel.name, version=wheel.version)
    name = licence_name(wheel.metadata)
    return Component(
        name=wheel.name,
        version=wheel.version,
        bom_ref=str(purl),
        purl=purl,
        hashes=[_hash(wheel.sha256)],
        licenses=[LicenseFactory().make_from_string(name)] if name else [],
        components=list(_contained(wheel)),
    )


def _contained(wheel: Wheel) -> Iterator[Component]:
    for text in wheel.texts(_SBOM).values():
        for component in cast(Any, Bom).from_json(json.loads(text)).components:  # no type of its own
            if component.name != wheel.name:
                yield component


def _hash(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
