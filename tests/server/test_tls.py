"""The server with a certificate of its own authority: who trusts that comes in, encrypted, and nobody else."""

from __future__ import annotations

import ipaddress
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.server.team import PASSWORD, small_model
from tests.server.test_running import read_document
from workbench.errors import BadInput, ComponentMissing
from workbench.registry.login import enter_by_bootstrap, enter_by_password
from workbench.registry.remote import RemoteControlPlane, Sender
from workbench.server.running import Address, serve


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority, which makes certificates for 127.0.0.1."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> Path:
        return self.folder / "authority.pem"

    def issue(self, name: str = "server") -> tuple[Path, Path]:
        """The files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = described(name, self.certificate.subject, key).add_extension(here, critical=False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        files[0].write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files


def described(subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
    return made.not_valid_after(now + timedelta(days=1))


def authority(folder: Path) -> Authority:
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    made = described("authority", name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = made.add_extension(usage, critical=True)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    certificate = made.sign(key, hashes.SHA256())
    (folder / "authority.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return Authority(folder=folder, key=key, certificate=certificate)


@dataclass(frozen=True, kw_only=True)
class Secured:
    """A server that speaks TLS, as a process of its own, with one admin."""

    url: str
    trusted: Authority


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    trusted = authority(tmp_path_factory.mktemp("tls") / "authority")
    certificate, key = trusted.issue()
    command = [sys.executable, "-m", "workbench", "server", "--folder", str(trusted.folder / "served"), "--port", "0", "--json"]
    command += ["--certificate", str(certificate), "--key", str(key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = read_document(process)
        enter_by_bootstrap(told["url"], str(trusted.file), told["bootstrap"], "ann", PASSWORD)
        yield Secured(url=told["url"], trusted=trusted)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130


def test_who_trusts_the_authority_acts_over_tls(secured: Secured, tmp_path: Path) -> None:
    assert secured.url.startswith("https://127.0.0.1:")
    trusted = str(secured.trusted.file)
    login = enter_by_password(secured.url, trusted, "ann", PASSWORD, keep=True)
    control, _, files = small_model(tmp_path)
    with control:
        plane = RemoteControlPlane(
            login.url, login.token, project="credit", control=control, files=lambda _: files, verify=login.certificate or True
        )
        assert (plane.whoami().name, plane.whoami().grants) == ("ann", {("admin", "*")})
        plane.close()


def test_who_does_not_know_the_authority_sends_no_token(secured: Secured, tmp_path: Path) -> None:
    other = authority(tmp_path / "other")
    for verify in (True, str(other.file)):
        with Sender(secured.url, "wbt_secret", verify=verify) as sender, pytest.raises(ComponentMissing, match="certificate"):
            sender.ask("GET", "/v1/whoami")


def test_a_certificate_for_another_name_is_refused(secured: Secured) -> None:
    elsewhere = secured.url.replace("127.0.0.1", "localhost")
    trusted = str(secured.trusted.file)
    with (
        Sender(elsewhere, "wbt_secret", verify=trusted) as sender,
        pytest.raises(ComponentMissing, match=r"certificate|hostname"),
    ):
        sender.ask("GET", "/v1/whoami")


def test_browsers_are_told_to_stay_with_tls(secured: Secured) -> None:
    context = ssl.create_default_context(cafile=str(secured.trusted.file))
    answer = httpx.get(f"{secured.url}/v1/health", verify=context, trust_env=False)
    assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_without_encryption_or_with_an_old_one_nothing_is_answered(secured: Secured) -> None:
    host, port = secured.url.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/1.1 200" not in line.recv(65536)
    old = ssl.create_default_context(cafile=str(secured.trusted.file))
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection((host, int(port)), timeout=10) as line, pytest.raises(ssl.SSLError):
        old.wrap_socket(line, server_hostname=host)


def test_half_of_what_tls_takes_is_refused_and_never_served_in_the_open(tmp_path: Path) -> None:
    certificate, key = authority(tmp_path / "authority").issue()
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    for given in ((certificate, None), (None, key), (certificate, tmp_path / "none"), (empty, key), (certificate, empty)):
        address = Address(certificate=given[0], key=given[1])
        with pytest.raises(BadInput, match="certificate"):
            serve(tmp_path / "served", address, told=lambda *_: pytest.fail("it serves"))
    assert not (tmp_path / "served").exists()
