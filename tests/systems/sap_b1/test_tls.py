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
from tieout.systems.sap_b1.sessions import MemorySessionStore, SessionStore
from tieout.systems.sap_b1.settings import SapB1Settings
from tieout.systems.sap_b1.writing import Effect, Write


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


def client(url: str, verify: bool | str, sessions: SessionStore | None = None) -> SapB1Client:
    settings = SapB1Settings(url, "SBODEMO", "manager", PASSWORD, verify=verify, retry_seconds=0.5)
    return SapB1Client(settings, sessions or MemorySessionStore(), sleep=lambda seconds: None)


def test_an_untrusted_certificate_is_said_plainly(url: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"certificate of SAP Business One at .* is not trusted .* CA"):
        client(url, True).login()


def test_the_issuers_file_makes_it_good(url: str, certificate: tuple[Path, Path]) -> None:
    client(url, str(certificate[0])).login()


def test_the_check_can_be_switched_off(url: str, recwarn: pytest.WarningsRecorder) -> None:
    client(url, False).login()


def test_writes_verify_and_share_the_connection(url: str, certificate: tuple[Path, Path]) -> None:
    connected = client(url, str(certificate[0]))

    for _ in range(2):
        written = connected.write(Write("POST", "JournalEntries", b"{}"))
        # The server is reached and has no such entity set.
        assert (written.effect, written.code) == (Effect.REFUSED, "-1002")
    assert len(connected._writes._idle) == 1
    connected.close()


def test_no_write_goes_to_a_server_that_is_not_trusted(url: str, certificate: tuple[Path, Path]) -> None:
    sessions = MemorySessionStore()
    client(url, str(certificate[0]), sessions).login()
    called: list[None] = []

    with pytest.raises(ConfigurationInvalid, match="is not trusted"):
        client(url, True, sessions).write(
            Write("POST", "JournalEntries", b"{}"), before_send=lambda: called.append(None)
        )
    assert called == []
