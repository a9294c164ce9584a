from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import service_layer as fake
from tests.support.service_layer import FakeServiceLayer
from tieout.errors import ContractBroken
from tieout.systems.sap_b1.attachments import AttachedFile, download, first_pdf, list_files
from tieout.systems.sap_b1.client import SapB1Client

Connect = Callable[..., SapB1Client]


def entry(number: Any, *names: str) -> dict[str, Any]:
    lines = [
        {"LineNum": position, "FileName": name.rpartition(".")[0], "FileExtension": name.rpartition(".")[2]}
        for position, name in enumerate(names, start=1)
    ]
    return {"AbsoluteEntry": number, "Attachments2_Lines": lines}


@pytest.fixture
def attached(server: FakeServiceLayer) -> FakeServiceLayer:
    server.rows["Attachments2"] = [entry(n, f"photo{n}.png", f"invoice {n}.PDF") for n in range(1, 200)]
    server.keys["Attachments2"] = "AbsoluteEntry"
    return server


def test_many_entries_in_few_requests(attached: FakeServiceLayer, connect: Connect) -> None:
    found = list_files(connect(page_size=40), range(1, 120))

    assert set(found) == set(range(1, 120))
    assert found[7][1] == AttachedFile(7, 2, "invoice 7", "PDF")
    assert len(attached.data_calls()) <= 8
    assert all(len(call.params["$filter"]) < 1500 for call in attached.data_calls())


def test_refused_lists_are_read_one_by_one(attached: FakeServiceLayer, connect: Connect) -> None:
    attached.faults = [fake.sap_error(400, 201, "Query string error - Invalid filter condition")]

    assert set(list_files(connect(), [3, 5])) == {3, 5}
    assert len(attached.data_calls("(5)")) == 1


def test_entries_left_out_of_the_list_are_read_one_by_one(attached: FakeServiceLayer, connect: Connect) -> None:
    attached.faults = [fake.replied(200, b'{"value":[]}')]

    assert set(list_files(connect(), [3, 5, 999])) == {3, 5}


def test_key_as_text(attached: FakeServiceLayer, connect: Connect) -> None:
    attached.rows["Attachments2"] = []
    attached.faults = [fake.replied(200, b'{"value":[{"AbsoluteEntry":"3","Attachments2_Lines":[{"FileName":"a"}]}]}')]

    assert list_files(connect(), [3]) == {3: [AttachedFile(3, 1, "a", "")]}


def test_something_else(attached: FakeServiceLayer, connect: Connect) -> None:
    attached.faults = [fake.replied(200, b'{"value":[{"AbsoluteEntry":null}]}')]

    with pytest.raises(ContractBroken, match="something else than a list of attachment entries"):
        list_files(connect(), [3])


def test_first_pdf() -> None:
    files = [AttachedFile(1, 1, "a", "png"), AttachedFile(1, 2, "b", "Pdf"), AttachedFile(1, 3, "c", "pdf")]

    assert first_pdf(files) == files[1]
    assert first_pdf(files[:1]) is None


def test_download_by_name(attached: FakeServiceLayer, connect: Connect) -> None:
    attached.files["Attachments2(3)/$value?'Müller''s & Co.pdf'"] = b"%PDF-1.4 x"

    assert b"".join(download(connect(), AttachedFile(3, 1, "Müller's & Co", "pdf"))) == b"%PDF-1.4 x"
