"""The bytes that were sent, for those who may run the DAG."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import INVOICES
from tests.console.conftest import Server
from tieout.console.download import attachment
from tieout.ledger import Ledger, RunKey

SCRATCH = replace(INVOICES, instance="north", entity="kept", run_id="manual__kept")
CONTENT = "externalId,café\r\n6,1.20\r\n".encode()


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.csv", "attachment; filename=\"a.csv\"; filename*=UTF-8''a.csv"),
        ('x"; evil="y', "attachment; filename=\"x__ evil=_y\"; filename*=UTF-8''x%22%3B%20evil%3D%22y"),
        ("a\r\nSet-Cookie: x", "attachment; filename=\"a__Set-Cookie_ x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x"),
        ("../../passwd", "attachment; filename=\".._.._passwd\"; filename*=UTF-8''..%2F..%2Fpasswd"),
        ("Müller €.csv", "attachment; filename=\"M_ller _.csv\"; filename*=UTF-8''M%C3%BCller%20%E2%82%AC.csv"),
        ("\udcff.csv", "attachment; filename=\"_.csv\"; filename*=UTF-8''%3F.csv"),
    ],
)
def test_a_name_from_outside_stays_a_name(name: str, header: str) -> None:
    assert attachment(name) == header
    header.encode("ascii")


def _enter(book: Ledger, path: Path, content: bytes, *, name: str = "kept é\n.csv", uri: str = "") -> int:
    key = RunKey(SCRATCH.integration, SCRATCH.instance, SCRATCH.entity, f"manual__{path.parent.name}")
    book.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    return book.prepare_file(
        key, file_name=name, remote_path=f"/inbound/{path.parent.name}.csv", local_uri=uri or str(path),
        bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), records=0, control_totals={},
    ).id  # fmt: skip


@pytest.mark.integration
class TestDownload:
    @pytest.mark.parametrize("as_uri", [False, True])
    def test_the_bytes_as_they_were(self, admin: httpx.Client, book: Ledger, tmp_path: Path, as_uri: bool) -> None:
        path = tmp_path / "data one.csv"
        path.write_bytes(CONTENT)
        file_id = _enter(book, path, CONTENT, uri=path.as_uri() if as_uri else "")
        listed = next(row for row in admin.get("/files?entity=kept").json()["items"] if row["id"] == file_id)
        answer = admin.get(listed["download_url"].removeprefix("/tieout/api"))
        assert (answer.status_code, answer.content) == (200, CONTENT)
        assert answer.headers["content-disposition"] == attachment("kept é\n.csv")
        assert answer.headers["content-type"] == "application/octet-stream"
        digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
        assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
        assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")

    def test_an_empty_file(self, admin: httpx.Client, book: Ledger, tmp_path: Path) -> None:
        path = tmp_path / "done"
        path.write_bytes(b"")
        answer = admin.get(f"/files/{_enter(book, path, b'')}/download")
        assert (answer.status_code, answer.content) == (200, b"")

    def test_who_may_not_run_the_dag_may_not_have_them(
        self, server: Server, viewer: httpx.Client, book: Ledger, tmp_path: Path
    ) -> None:
        path = tmp_path / "data.csv"
        path.write_bytes(CONTENT)
        file_id = _enter(book, path, CONTENT)
        answer = viewer.get(f"/files/{file_id}/download")
        assert (answer.status_code, "may not trigger" in answer.json()["detail"]) == (403, True)
        listed = next(row for row in viewer.get("/files?entity=kept").json()["items"] if row["id"] == file_id)
        assert listed["download_url"] is None
        with server.client() as nobody:
            assert nobody.get(f"/files/{file_id}/download").status_code == 401

    @pytest.mark.parametrize(
        ("there", "words"),
        [
            (None, "are not kept any more"),
            (CONTENT + b"x", "is not what the ledger has the SHA-256 of"),
            (CONTENT.replace(b"1", b"2"), "is not what the ledger has the SHA-256 of"),
        ],
        ids=["gone", "longer", "changed"],
    )
    def test_only_what_was_sent(
        self, admin: httpx.Client, book: Ledger, tmp_path: Path, there: bytes | None, words: str
    ) -> None:
        path = tmp_path / "data.csv"
        if there is not None:
            path.write_bytes(there)
        answer = admin.get(f"/files/{_enter(book, path, CONTENT)}/download")
        assert answer.status_code == 404
        assert words in answer.json()["detail"]

    @pytest.mark.parametrize(("file_id", "status"), [("4711", 404), ("0", 422), ("x", 422)])
    def test_no_such_file(self, admin: httpx.Client, file_id: str, status: int) -> None:
        assert admin.get(f"/files/{file_id}/download").status_code == status
