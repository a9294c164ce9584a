"""Files: signed addresses, what can be wrong with a file, and what is never written down."""

from __future__ import annotations

import gc
import hashlib
import logging
import pickle
import traceback
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from sandbox.http_server import Ending, Reply, Request, json_reply
from tests.systems.banqup.conftest import Connect, FakeTime
from tests.systems.banqup.service import SECRET, SIGNATURE, SPACE, File, Service
from tieout.errors import BadRecord, ContractBroken, SourceUnavailable
from tieout.systems.banqup import (
    BanqupClient,
    FileDamaged,
    FileMissing,
    FileProblem,
    FileTooLarge,
    FileUnavailable,
    SpaceForbidden,
)

DATA = b"<Invoice/>\r\n\x00\xff" * 100


@pytest.fixture
def stored(service: Service) -> Service:
    service.files["f1"] = File(DATA)
    return service


def get(client: BanqupClient, **limits: int) -> bytes:
    return client.download(SPACE, "f1", **limits).data


@pytest.mark.parametrize("relative", [False, True], ids=["another host", "relative"])
def test_a_file(connect: Connect, stored: Service, relative: bool) -> None:
    stored.relative = relative
    found = connect().download(SPACE, "f1")
    assert found.data == DATA
    assert found.sha256 == hashlib.sha256(DATA).hexdigest()
    assert (found.file_name, found.content_type) == ("f1.xml", "application/xml")
    _, request = stored.seen[-1]
    assert request.target == f"/stored/f1?X-Signature={SIGNATURE}"
    assert "authorization" not in request.headers
    assert request.headers["accept-encoding"] == "identity"


def test_an_empty_file(connect: Connect, service: Service) -> None:
    service.files["f1"] = File(b"")
    assert get(connect()) == b""


def test_a_file_whose_size_is_not_told(connect: Connect, stored: Service) -> None:
    stored.then("files", json_reply({"id": "f1", "downloadUrl": f"{stored.storage.url}/stored/f1"}))
    found = connect().download(SPACE, "f1")
    assert (found.data, found.file_name) == (DATA, "")


@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_address_that_has_expired(connect: Connect, stored: Service, status: int) -> None:
    stored.then("storage", *[Reply(status, body=b"expired")] * 2)
    assert get(connect()) == DATA
    assert stored.count("files") == 3


def test_an_address_that_is_refused_each_time(connect: Connect, stored: Service) -> None:
    stored.then("storage", *[Reply(403)] * 3)
    with pytest.raises(FileUnavailable, match=r"f1\.xml \(f1\).*refuses it each time \(HTTP 403, 3 attempts\)"):
        get(connect())
    assert stored.count("storage") == 3


def test_redirects_to_object_storage(connect: Connect, stored: Service) -> None:
    stored.then("storage", *[Reply(302, [("Location", f"/stored/f1?again={n}")]) for n in range(3)])
    assert get(connect()) == DATA
    assert all("authorization" not in request.headers for what, request in stored.seen if what == "storage")


def test_redirects_without_end(connect: Connect, stored: Service) -> None:
    stored.then("storage", *[Reply(302, [("Location", "/stored/f1")])] * 100)
    with pytest.raises(FileUnavailable, match="HTTP 302"):
        get(connect())
    assert stored.count("storage") == 12


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"status": "AWAITING_UPLOAD"}, FileUnavailable, r"f1 as AWAITING_UPLOAD, not as AVAILABLE"),
        ({"status": "AVAILABLE"}, FileUnavailable, "no address"),
        ({"status": "AVAILABLE", "downloadUrl": "ftp://x/y"}, FileUnavailable, "no address"),
        ({"status": "AVAILABLE", "downloadUrl": "http://[x"}, FileUnavailable, "no address"),
        ({"status": "AVAILABLE", "fileSize": 101, "downloadUrl": "/x"}, FileTooLarge, "101 bytes; 100 are accepted"),
    ],
)
def test_a_file_that_is_not_to_be_had(
    connect: Connect, stored: Service, said: dict[str, object], error: type[FileProblem], words: str
) -> None:
    stored.then("files", json_reply({"id": "f1", **said}))
    with pytest.raises(error, match=words):
        get(connect(), max_bytes=100)


def test_no_such_file(connect: Connect, stored: Service) -> None:
    with pytest.raises(FileMissing, match="knows of no file f2"):
        connect().download(SPACE, "f2")
    stored.then("storage", Reply(404))
    with pytest.raises(FileMissing, match="its storage does not have it"):
        get(connect())


def test_a_file_that_is_larger_than_it_says(connect: Connect, stored: Service) -> None:
    stored.files["f1"] = File(DATA, size=50)
    with pytest.raises(FileTooLarge, match="is larger; 100 are accepted"):
        get(connect(), max_bytes=100)
    with pytest.raises(FileTooLarge, match="1,000 are accepted"):
        get(connect(max_file_bytes=1000))


def test_a_size_that_differs_once(connect: Connect, stored: Service) -> None:
    stored.then("storage", Reply(200, body=DATA[:-1]))
    assert get(connect()) == DATA


def test_a_size_that_differs_twice(connect: Connect, stored: Service) -> None:
    stored.files["f1"] = File(DATA, size=7)
    with pytest.raises(FileDamaged, match="should have 7 bytes; 1,400 came, 1,400 the time before"):
        get(connect())


def test_a_file_that_breaks_off(connect: Connect, stored: Service, fake_time: FakeTime) -> None:
    stored.then("storage", *[Reply(200, body=DATA, ending=Ending.CLOSE_MID_BODY)] * 2)
    assert get(connect()) == DATA
    stored.then("storage", *[Reply(200, body=DATA, ending=Ending.CLOSE_MID_BODY)] * 3)
    with pytest.raises(FileDamaged, match="breaks off each time"):
        get(connect())


@pytest.mark.parametrize("trouble", [Reply(503), Reply(ending=Ending.RESET_BEFORE_HEAD)], ids=["503", "reset"])
def test_a_storage_that_is_away(connect: Connect, stored: Service, trouble: Reply) -> None:
    stored.then("storage", *[trouble] * 3)
    assert get(connect()) == DATA
    # An outage is not the document's trouble.
    stored.then("storage", *[trouble] * 100)
    with pytest.raises(SourceUnavailable, match="file f1, from its storage"):
        get(connect())


def test_a_space_that_is_closed(connect: Connect, stored: Service) -> None:
    stored.then("files", json_reply({"message": "no"}, 403))
    with pytest.raises(SpaceForbidden):
        get(connect())


def test_an_answer_that_describes_no_file(connect: Connect, stored: Service) -> None:
    stored.then("files", json_reply([1]))
    with pytest.raises(ContractBroken, match="is no JSON object"):
        get(connect())


def test_errors_of_one_document(connect: Connect) -> None:
    kinds = (FileMissing, FileDamaged, FileUnavailable, FileTooLarge)
    codes = {kind("x").reason_code for kind in kinds}
    assert codes == {"FILE_MISSING", "FILE_DAMAGED", "FILE_UNAVAILABLE", "FILE_TOO_LARGE"}
    for kind in kinds:
        error = pickle.loads(pickle.dumps(kind("what is wrong")))
        assert isinstance(error, BadRecord) and str(error) == "what is wrong"
        assert error.fix_hint and error.reason_code in codes


def told(error: BaseException) -> Iterator[str]:
    """Everything that an exception and those behind it could show."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield f"{each} {each!r} {each.args!r} {vars(each)!r}"
        waiting += [each.__cause__, each.__context__]
    yield "".join(traceback.format_exception(error))


def echo(request: Request) -> Reply:
    """A service that repeats what it was sent."""
    words = f"{request.body.decode()} {SECRET} {request.headers.get('authorization')} {request.target}"
    return json_reply({"error": "no", "message": words}, 400)


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(503), Reply(403), Reply(404), Reply(302, [("Location", f"http://127.0.0.1:1/{SIGNATURE}")]),
        Reply(ending=Ending.RESET_BEFORE_HEAD), Reply(200, body=DATA, ending=Ending.CLOSE_MID_BODY),
        Reply(500, body=b"x" * 20_000_000), Reply(200, [("Content-Encoding", "gzip")], body=b"no gzip"),
        Reply(200, [("Location", "bad header"), ("no colon\r\nx", "y")], body=DATA[:5]),
    ],
    ids=["503", "403", "404", "redirect", "reset", "cut off", "huge", "not gzip", "odd header"],
)  # fmt: skip
def test_no_secret_is_ever_written_down(
    connect: Connect, stored: Service, caplog: pytest.LogCaptureFixture, trouble: Reply
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect(retry_seconds=1, connect_timeout=1, read_timeout=0.3)
    client.spaces()
    written = [repr(client.settings), repr(client), repr(vars(client))]
    stored.then("storage", *[trouble] * 50)
    for relative in (False, True):
        stored.relative = relative
        with pytest.raises((FileProblem, SourceUnavailable)) as caught:
            get(client)
        written += told(caught.value)
    stored.then("document", echo)
    with pytest.raises(ContractBroken, match=r"HTTP 400: .*\*\*\*") as refused:
        client.document(SPACE, "d1")
    written += told(refused.value)
    gc.collect()
    everything = "\n".join([*written, caplog.text])
    assert stored.tokens
    for secret in (SECRET, quote(SECRET), quote(SECRET, safe=""), *stored.tokens, SIGNATURE):
        assert secret not in everything
    # The log is there, and of the API's own requests it tells.
    assert "/entitystore/v1/spaces" in caplog.text


def test_a_refused_application_that_is_repeated_to_us(
    connect: Connect, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.then("token", echo)
    with pytest.raises(Exception, match="refuses the application") as caught:
        connect().login()
    everything = "\n".join([*told(caught.value), caplog.text])
    for secret in (SECRET, quote(SECRET), quote(SECRET, safe="")):
        assert secret not in everything
