"""cfn/freetds.conf: what pymssql's FreeTDS makes of it when it meets a server's certificate."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymssql
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tds_server import TdsServer

CONFIGURATION = (Path(__file__).resolve().parents[2] / "cfn/freetds.conf").read_text()
Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def authority(name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return certificate(name, key, None, x509.BasicConstraints(ca=True, path_length=None)), key


def certificate(
    name: str, key: ec.EllipticCurvePrivateKey, by: Authority | None, extension: x509.ExtensionType
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by[0].subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=False)
        .sign(by[1] if by else key, hashes.SHA256())
    )


def written(file: Path, certificate: x509.Certificate) -> Path:
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TdsServer]:
    """A server that is `localhost`; the CA that signed its certificate is ours.pem, beside other.pem."""
    folder, ours = tmp_path_factory.mktemp("tls"), authority("Ours")
    written(folder / "ours.pem", ours[0])
    written(folder / "other.pem", authority("Other")[0])
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        written(folder / "server.pem", certificate("localhost", key, ours, named)), folder / "key.pem"
    )
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # TLS 1.3 is TDS 8's, which FreeTDS has not
    server = TdsServer(context)
    server.logins["user"] = "password"
    server.folder = folder  # type: ignore[attr-defined]
    with server.running():
        yield server


@pytest.fixture
def connects(server: TdsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Whether pymssql connects under cfn/freetds.conf, with another path in place of the bundle's."""

    def connects(host: str, bundle: str, **options: Any) -> bool:
        configuration = tmp_path / "freetds.conf"
        ca = server.folder / bundle  # type: ignore[attr-defined]
        configuration.write_text(CONFIGURATION.replace("/var/task/ca.pem", str(ca)))
        monkeypatch.setenv("FREETDSCONF", str(configuration))
        server.seen.clear()
        arguments = {"port": str(server.port), "login_timeout": 10, **options}
        with suppress(pymssql.OperationalError):
            pymssql.connect(host, "user", "password", **arguments).close()
            return True
        assert server.seen == []  # refused before the password was sent
        return False

    return connects


def test_the_configuration_names_the_bundle_of_the_packages() -> None:
    assert CONFIGURATION.count("/var/task/ca.pem") == 1


@pytest.mark.parametrize("encryption", ["require", None])
def test_a_certificate_of_the_bundles_ca_for_this_host_is_accepted(
    connects: Callable[..., bool], encryption: str | None
) -> None:
    assert connects("localhost", "ours.pem", encryption=encryption)


@pytest.mark.parametrize("encryption", ["require", "request", "off", None])
@pytest.mark.parametrize(
    ("host", "bundle"),
    [("localhost", "other.pem"), ("127.0.0.1", "ours.pem"), ("localhost", "missing.pem")],
    ids=["another CA", "another host name", "no bundle"],
)
def test_any_other_certificate_is_refused_before_the_password_is_sent(
    connects: Callable[..., bool], host: str, bundle: str, encryption: str | None
) -> None:
    assert not connects(host, bundle, encryption=encryption)


@pytest.mark.parametrize("configuration", [None, "/var/task/missing.conf"])
def test_without_the_configuration_any_certificate_is_accepted(
    server: TdsServer, monkeypatch: pytest.MonkeyPatch, configuration: str | None
) -> None:
    """Why the packages carry it, and must not name one that they do not carry."""
    monkeypatch.delenv("FREETDSCONF", raising=False)
    if configuration:
        monkeypatch.setenv("FREETDSCONF", configuration)
    pymssql.connect("127.0.0.1", "user", "password", port=str(server.port), encryption="require").close()


def test_a_server_without_tls_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = tmp_path / "freetds.conf"
    configuration.write_text(CONFIGURATION)
    monkeypatch.setenv("FREETDSCONF", str(configuration))
    with TdsServer().running() as plain, pytest.raises(pymssql.OperationalError):
        pymssql.connect("localhost", "user", "password", port=str(plain.port), login_timeout=10)
    assert plain.seen == []
