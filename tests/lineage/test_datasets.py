"""How datasets are named: the same from run to run, and never with an account or a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from tieout.lineage.datasets import Dataset, pattern, sftp, staged, web


@pytest.mark.parametrize(
    ("base_url", "prefix", "expected"),
    [
        ("https://b1.example.com:50000", "SBODEMOUS", ("sapb1://b1.example.com:50000", "SBODEMOUS.Invoices")),
        ("https://b1.example.com", "SBODEMOUS", ("sapb1://b1.example.com:443", "SBODEMOUS.Invoices")),
        ("http://b1/path?a=b", "", ("sapb1://b1:80", "Invoices")),
        ("https://user:secret@b1:50000/", "C", ("sapb1://b1:50000", "C.Invoices")),
        ("https://[2001:db8::1]:50000", "C", ("sapb1://[2001:db8::1]:50000", "C.Invoices")),
    ],
)
def test_tables_of_a_system(base_url: str, prefix: str, expected: tuple[str, str]) -> None:
    assert web("sapb1", base_url, prefix)("Invoices") == Dataset(*expected)


def test_folders_of_a_server() -> None:
    assert sftp("files.example.com", 2222, "/inbound/a") == ("sftp://files.example.com:2222", "/inbound/a")
    assert sftp("2001:db8::1", 22, "/") == ("sftp://[2001:db8::1]:22", "/")


def test_staging_in_a_local_folder(tmp_path: Path) -> None:
    assert staged(tmp_path, "dag", "invoices", "extract") == ("file", f"{tmp_path}/dag/invoices/extract")


@pytest.mark.usefixtures("airflow_home")
@pytest.mark.parametrize("uri", ["s3://bucket/staging", "s3://aws_default@bucket/staging/"])
def test_staging_in_an_object_store(uri: str) -> None:
    from airflow.sdk import ObjectStoragePath

    assert staged(ObjectStoragePath(uri), "dag", "invoices") == ("s3://bucket", "staging/dag/invoices")


def test_what_differs_from_file_to_file_is_a_star() -> None:
    assert pattern("{prefix}_{seq:06d}.csv") == "*_*.csv"
    assert pattern("/outbound/archive/{year}/{month}") == "/outbound/archive/*/*"
    assert pattern("plain.csv") == "plain.csv"
