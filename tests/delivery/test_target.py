from __future__ import annotations

import pytest

from tieout.delivery import SftpTarget
from tieout.errors import ConfigurationInvalid


def read(extra: dict[str, object], **fields: object) -> SftpTarget:
    values: dict[str, object] = {"host": "sftp.example", "port": None, "login": "acme", "password": None} | fields
    return SftpTarget.from_connection(extra=extra, production=True, **values)  # type: ignore[arg-type]


def test_fields_of_an_airflow_connection() -> None:
    target = read(
        {
            "private_key": "-----BEGIN X-----\\nabc\\n-----END X-----",
            "private_key_passphrase": "pp",
            "host_key": "ssh-ed25519 AAAA1 old, ssh-ed25519 AAAA2",
            "no_host_key_check": "false",
            "keyboard_interactive": '["pw", "123,456"]',
            "exec_allowed": "True",
            "conn_timeout": "7",
            "ciphers": "whatever",
        },
        port=2222,
        password="pw",
    )
    assert target.label == "acme@sftp.example:2222"
    assert target.private_key == "-----BEGIN X-----\nabc\n-----END X-----"
    assert target.host_keys == ("ssh-ed25519 AAAA1 old", "ssh-ed25519 AAAA2")
    assert target.keyboard_interactive == ("pw", "123,456")
    assert (target.exec_allowed, target.no_host_key_check, target.connect_timeout) == (True, False, 7.0)


@pytest.mark.parametrize(
    ("value", "answers"), [(None, ()), ("pw", ("pw",)), ("pw\n123", ("pw", "123")), (["a", "b"], ("a", "b"))]
)
def test_keyboard_interactive_answers(value: object, answers: tuple[str, ...]) -> None:
    assert read({"keyboard_interactive": value}).keyboard_interactive == answers


def test_no_secret_is_shown() -> None:
    target = read(
        {"private_key": "KEY-XX", "private_key_passphrase": "PP-XX", "keyboard_interactive": ["KI-XX"]},
        password="PW-XX",
    )
    assert "XX" not in repr(target)
    assert "XX" not in str(target)


@pytest.mark.parametrize(
    ("extra", "fields", "complaint"),
    [
        ({}, {"host": ""}, "no host"),
        ({}, {"login": None}, "no login"),
        ({"exec_allowed": "maybe"}, {}, "exec_allowed"),
        ({"conn_timeout": "soon"}, {}, "conn_timeout"),
        ({"keyboard_interactive": "[broken"}, {}, "keyboard_interactive"),
    ],
)
def test_unreadable_fields(extra: dict[str, object], fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=complaint):
        read(extra, **fields)
