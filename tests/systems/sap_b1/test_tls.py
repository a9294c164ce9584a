"""TLS: a certificate that nobody signed, a CA file that makes it good, and the check switched off."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.service_layer import PASSWORD, FakeServiceLayer, Handler
from tieout.errors import ConfigurationInvalid
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.sessions import MemorySessionStore
from tieout.systems.sap_b1.settings import SapB1Settings


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "b1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def url(certificate: tuple[Path, Path]) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    handler = type("TlsHandler", (Handler,), {"state": FakeServiceLayer()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def client(url: str, verify: bool | str) -> SapB1Client:
    settings = SapB1Settings(url, "SBODEMO", "manager", PASSWORD, verify=verify)
    return SapB1Client(settings, MemorySessionStore(), sleep=lambda seconds: None)


def test_an_untrusted_certificate_is_said_plainly(url: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"certificate of SAP Business One at .* is not trusted .* CA"):
        client(url, True).login()


def test_the_issuers_file_makes_it_good(url: str, certificate: tuple[Path, Path]) -> None:
    client(url, str(certificate[0])).login()


def test_the_check_can_be_switched_off(url: str, recwarn: pytest.WarningsRecorder) -> None:
    client(url, False).login()
