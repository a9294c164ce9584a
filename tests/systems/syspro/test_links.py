from __future__ import annotations

import pytest

from tieout.systems.syspro.links import own_link

PATH = "/o/EDU1/GenMaster"


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("https://s:90/erp/o/EDU1/GenMaster?$skiptoken=5", PATH),
        ("GenMaster?$skiptoken=5", PATH),
        ("/erp/o/EDU1/GenMaster?$skiptoken=5&UserId=secret", PATH),
        ("https://elsewhere:90/erp/o/EDU1/GenMaster?$skiptoken=5", None),
        ("https://s:91/erp/o/EDU1/GenMaster?$skiptoken=5", None),
        ("http://s:90/erp/o/EDU1/GenMaster?$skiptoken=5", None),
        ("https://s:90/other/GenMaster?$skiptoken=5", None),
    ],
)
def test_only_our_own_host_is_followed(link: str, path: str | None) -> None:
    assert own_link(link, "https://s:90/erp", PATH) == (None if path is None else (path, {"$skiptoken": "5"}))
