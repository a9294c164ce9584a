"""Clients' servers in trouble: their documents wait and go once each; nobody else's are touched by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncssh
import pytest

from sandbox.banqup import Document
from tests.integrations.banqup_to_sftp.rehearsal import ONE, SALES, THREE, TWO, Outcome, Rehearsal
from tests.support.asyncssh_server import Account, AsyncSshServer
from tieout.delivery import DeliveryOptions, Journal, OutgoingFile, Receipt, SftpSession, SftpTarget
from tieout.errors import (
    ConfigurationInvalid,
    CredentialsRejected,
    HostKeyMismatch,
    ReceiverRefused,
    ReceiverUnavailable,
    TieoutError,
)
from tieout.integrations.banqup_to_sftp import alerts, sending
from tieout.integrations.banqup_to_sftp.config import BanqupClientConfig, BanqupDelivery
from tieout.integrations.delivering import LedgerJournal

CONN = "banqup_client_1"
PASSWORD = "let me in"


@pytest.fixture
def logged(rehearsal: Rehearsal) -> Iterator[AsyncSshServer]:
    """The first client behind a server that notes the order of renames, and loses connections when told to."""
    root = rehearsal.banqup.receivers[ONE].folder
    with AsyncSshServer(root, Account(password=PASSWORD)) as server:
        rehearsal.targets[CONN] = lambda _: SftpTarget(
            host=server.host, port=server.port, username="partner", password=PASSWORD, host_keys=(server.host_key,)
        )
        yield server


def order(server: AsyncSshServer) -> list[str]:
    """Document ids in the order in which they got their final names."""
    renames = [line.split()[2] for line in server.log if line.startswith("rename") and not line.endswith(".void")]
    return [name.rpartition(".")[0].rpartition("_")[2] for name in renames]


def red(outcome: Outcome, client: str = ONE) -> str:
    """Why this client, and no other, is red."""
    assert list(outcome.red) == [client]
    return outcome.red[client]


def mails(rehearsal: Rehearsal, outcome: Outcome, *, hours: float = 0) -> list[str]:
    """What is told so many hours later."""
    now = datetime.now(UTC) + timedelta(hours=hours)
    return alerts.tell(outcome.run, rehearsal.config, rehearsal.ledger, now=now)


def one_each(rehearsal: Rehearsal) -> dict[str, Document]:
    return {name: rehearsal.add(name) for name in (ONE, TWO, THREE)}


def test_a_server_that_is_down_is_one_clients_affair(rehearsal: Rehearsal) -> None:
    documents = one_each(rehearsal)
    rehearsal.banqup.receivers[ONE].server.down()
    outcome = rehearsal.go()

    assert red(outcome).startswith("1 documents wait. ") and "refuses connections" in red(outcome)
    assert [type(error) for error in outcome.errors] == [ReceiverUnavailable]
    assert rehearsal.has(documents[TWO], client=TWO) and rehearsal.has(documents[THREE], client=THREE)
    assert outcome.rows[ONE].status == "failed" and outcome.rows[ONE].to_send == 1
    down = rehearsal.receiver()
    assert (down.state, down.failures, down.waiting, down.error_kind) == ("down", 1, 1, "ReceiverUnavailable")
    assert rehearsal.watermark() == {}, "what has not arrived is read again"
    assert rehearsal.receiver(TWO).state == "up"


def test_one_task_for_many_clients_goes_on_after_a_failure(rehearsal: Rehearsal) -> None:
    rehearsal.configure(delivery={"tasks": 1, "shared_tasks": 1, "parallel": 1})
    documents = one_each(rehearsal)
    rehearsal.banqup.receivers[ONE].server.down()
    outcome = rehearsal.go()
    assert outcome.shares == [[ONE, TWO, THREE]] and red(outcome)
    assert rehearsal.has(documents[TWO], client=TWO) and rehearsal.has(documents[THREE], client=THREE)


def test_down_for_three_runs_and_back(rehearsal: Rehearsal, logged: AsyncSshServer) -> None:
    late = rehearsal.add(minutes=10)
    early = rehearsal.add(folder=SALES, minutes=200)
    expected = [early, late]
    working, rehearsal.targets[CONN] = rehearsal.targets[CONN], lambda found: replace(found, port=1)
    told = []
    for _ in range(3):
        outcome = rehearsal.go()
        assert red(outcome).startswith(f"{len(expected)} documents wait.")
        assert outcome.mails == [], "not yet long enough"
        told += mails(rehearsal, outcome, hours=2)
        rehearsal.later()
        expected.append(rehearsal.add(minutes=5))
    assert rehearsal.receiver().failures == 3 and rehearsal.paths() == []
    assert len(told) == 1 and "takes no documents since" in told[0]

    rehearsal.targets[CONN] = working
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.has(*expected) and outcome.counts() == (5, 0, 0, 0)
    assert order(logged) == [document.id for document in expected], "in the order of their approval"
    assert [subject for subject, _ in outcome.mails] == ["Tieout: C1001 Bakkerij De Korenbloem BV: the server is back"]
    rehearsal.later()
    after = rehearsal.go()
    assert after.ties_out and not after.mails and not mails(rehearsal, after, hours=9) and rehearsal.has(*expected)


def test_a_short_outage_is_told_to_nobody(rehearsal: Rehearsal) -> None:
    document = rehearsal.add()
    rehearsal.banqup.receivers[ONE].server.down()
    assert rehearsal.go().mails == []
    rehearsal.banqup.receivers[ONE].server.up()
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.mails == [] and rehearsal.has(document)
    assert rehearsal.receiver().state == "up"


def test_what_the_mail_says(rehearsal: Rehearsal) -> None:
    rehearsal.configure(alerts={"unreachable_minutes": 0, "base_url": "https://airflow.example/"})
    rehearsal.add()
    rehearsal.add(minutes=5)
    rehearsal.banqup.receivers[ONE].server.down()
    outcome = rehearsal.go()
    [(subject, text)] = outcome.mails
    assert subject.startswith("Tieout: C1001 Bakkerij De Korenbloem BV: the server takes no documents since 20")
    assert "(Europe/Brussels)" in subject
    assert "2 documents of client C1001" in text and "refuses connections" in text
    assert "https://airflow.example/tieout/" in text
    assert rehearsal.go().mails == []


def test_who_dies_between_raising_and_noting_it_tells_nothing_twice(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal.configure(alerts={"unreachable_minutes": 0})
    rehearsal.add()
    rehearsal.banqup.receivers[ONE].server.down()
    run = rehearsal.new_run()
    plans, shares = rehearsal.ready(run)
    with pytest.raises(ReceiverUnavailable):
        rehearsal.deliver(run, plans, shares[0])

    with monkeypatch.context() as patch:
        patch.setattr(rehearsal.ledger, "note_receiver_alert", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            alerts.tell(run, rehearsal.config, rehearsal.ledger)
    assert len(mails(rehearsal, Outcome(run))) == 1, "it is noted now"
    assert mails(rehearsal, Outcome(run)) == []
    [alert] = rehearsal.ledger.open_alerts()
    assert (alert.kind, alert.subject, alert.occurrences) == ("receiver_unreachable", ONE, 2)
    assert [notice.about for notice in rehearsal.ledger.notices()] == ["raised"]


def test_another_host_key_is_told_at_once_and_as_what_it_is(rehearsal: Rehearsal) -> None:
    rehearsal.add()
    other = "ssh-ed25519 " + "AAAAC3NzaC1lZDI1NTE5AAAAIPdCFZ4n6QW8ocqBrJ2hMBZMB8RTyyMMSsLI5nmXk7cQ"
    rehearsal.targets[CONN] = lambda found: replace(found, host_keys=(other,), no_host_key_check=False)
    outcome = rehearsal.go()
    assert [type(error) for error in outcome.errors] == [HostKeyMismatch]
    [alert] = rehearsal.ledger.open_alerts()
    assert (alert.kind, alert.subject) == ("host_key_changed", ONE)
    [(_, text)] = outcome.mails
    assert "SHA256:" in text and "Do not accept the new key before the partner has confirmed it" in text


# Back-off


def test_a_server_is_tried_ever_more_rarely_by_the_schedule(rehearsal: Rehearsal) -> None:
    rehearsal.configure(delivery={"eager_attempts": 1, "first_delay_minutes": 30, "max_delay_minutes": 45})
    documents = one_each(rehearsal)
    rehearsal.banqup.receivers[ONE].server.down()
    pauses = []
    for _ in range(4):
        rehearsal.go()
        row = rehearsal.receiver()
        assert row.next_try_at is not None
        pauses.append(round((row.next_try_at - row.last_tried_at).total_seconds() / 60))
    assert pauses == [0, 30, 45, 45]

    before = rehearsal.banqup.server.statistics.requests["file"]
    waiting = rehearsal.go(by_schedule=True)
    assert red(waiting).startswith("Its documents wait. ") and "The next try is due at" in red(waiting)
    assert waiting.errors == [] and waiting.shares == [], "nobody knocks"
    assert rehearsal.receiver().failures == 4
    assert rehearsal.banqup.server.statistics.requests["file"] == before, "nothing is fetched for it either"
    rehearsal.banqup.receivers[ONE].server.up()
    asked = rehearsal.go()
    assert asked.ties_out and rehearsal.has(documents[ONE]), "somebody who asks does not wait"


def test_when_everybody_waits(rehearsal: Rehearsal) -> None:
    clients = [entry.model_dump(exclude_none=True, mode="json") for entry in rehearsal.config.clients][:1]
    rehearsal.configure(clients=clients, delivery={"eager_attempts": 0})
    rehearsal.add()
    rehearsal.banqup.receivers[ONE].server.down()
    rehearsal.go()
    assert red(rehearsal.go(by_schedule=True)).startswith("Its documents wait.")


@pytest.mark.parametrize(
    ("trouble", "error"), [("password", CredentialsRejected), ("host key", HostKeyMismatch)]
)  # fmt: skip
def test_a_server_that_does_not_let_us_in_or_is_another_one(
    rehearsal: Rehearsal, trouble: str, error: type[TieoutError]
) -> None:
    documents = one_each(rehearsal)
    key = " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])
    rehearsal.targets[CONN] = lambda found: (
        replace(found, password="wrong") if trouble == "password" else replace(found, host_keys=(key,))
    )
    outcome = rehearsal.go()

    assert red(outcome).startswith("1 documents wait. ") and [type(each) for each in outcome.errors] == [error]
    row = rehearsal.receiver()
    assert row.error_kind == error.__name__ and row.next_try_at is not None
    assert row.next_try_at > row.last_tried_at, "no attempt of these is an eager one: they lock accounts"
    assert rehearsal.has(documents[TWO], client=TWO)
    assert rehearsal.go(by_schedule=True).errors == []
    sftp = rehearsal.banqup.receivers[ONE].server.sftp
    assert sftp.statistics.refused_logins == (trouble == "password")
    del rehearsal.targets[CONN]
    assert rehearsal.go().ties_out and rehearsal.has(documents[ONE])


def test_a_connection_that_there_is_not(rehearsal: Rehearsal) -> None:
    documents = one_each(rehearsal)

    def missing(_: SftpTarget) -> SftpTarget:
        raise ConfigurationInvalid("There is no connection banqup_client_1.")

    rehearsal.targets[CONN] = missing
    outcome = rehearsal.go()
    assert "There is no connection" in red(outcome) and rehearsal.has(documents[TWO], client=TWO)
    del rehearsal.targets[CONN]
    assert rehearsal.go().ties_out and rehearsal.has(documents[ONE])


# Connections that break


@pytest.mark.parametrize("fault", ["lost_rename_replies", "lost_before_rename"])
def test_a_connection_cut_in_mid_rename(rehearsal: Rehearsal, logged: AsyncSshServer, fault: str) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(6)]
    setattr(logged.faults, fault, 1)
    outcome = rehearsal.go()
    assert getattr(logged.faults, fault) == 0
    assert outcome.ties_out and rehearsal.has(*documents) and outcome.counts() == (6, 0, 0, 0)
    assert len(rehearsal.ledger.files_of_run(outcome.rows[ONE].key)) == 6


@pytest.mark.parametrize("fault", ["drop_after", "drop_after_rename"])
def test_a_connection_cut_by_the_clients_own_server(rehearsal: Rehearsal, fault: str) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(4)]
    sftp = rehearsal.banqup.receivers[ONE].server.sftp
    sftp.configure(**{fault: 5_000 if fault == "drop_after" else True})
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.has(*documents), "the same run has tried once more"
    assert rehearsal.go().counts() == (0, 0, 4, 0)


def test_a_connection_cut_for_good_in_mid_rename(
    rehearsal: Rehearsal, logged: AsyncSshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    verified = LedgerJournal.verified

    def no_way_back(self: LedgerJournal, verification: Mapping[int, str]) -> None:
        verified(self, verification)
        logged.faults.lost_rename_replies, logged.account.password = 1, None

    with monkeypatch.context() as patched:
        patched.setattr(LedgerJournal, "verified", no_way_back)
        outcome = rehearsal.go()
    assert red(outcome).startswith("3 documents wait. ") and rehearsal.watermark() == {}
    arrived = [path for path in rehearsal.paths() if "/." not in path]
    assert 1 <= len(arrived) <= 3
    logged.account.password = PASSWORD
    later = rehearsal.go()
    assert later.ties_out and rehearsal.has(*documents) and later.counts() == (3 - len(arrived), 0, len(arrived), 0)
    renamed = order(logged)
    assert sorted(renamed) == sorted({document.id for document in documents}), "each of them once"


# Names and folders


def test_a_name_that_is_taken(rehearsal: Rehearsal) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    taken = documents[1]
    folder = rehearsal.banqup.receivers[ONE].folder / "invoice_import/C1001_0701234576/AP"
    folder.mkdir(parents=True)
    path = folder / f"20260302_{taken.number}_{taken.id}.xml"
    path.write_bytes(b"somebody else's")
    outcome = rehearsal.go()

    assert outcome.ties_out and outcome.counts() == (2, 1, 0, 0)
    assert rehearsal.held() == {taken.id: "RECEIVER_REFUSED"}
    [row] = rehearsal.held_rows()
    assert row.owner == "administrator" and "with other bytes" in row.message
    assert path.read_bytes() == b"somebody else's"
    assert rehearsal.receiver().state == "up"
    path.unlink()
    later = rehearsal.go()
    assert later.ties_out and later.counts() == (1, 0, 2, 0) and rehearsal.has(*documents) and rehearsal.held() == {}


def test_the_only_documents_name_is_taken(rehearsal: Rehearsal) -> None:
    document = rehearsal.add()
    folder = rehearsal.banqup.receivers[ONE].folder / "invoice_import/C1001_0701234576/AP"
    (folder / f"20260302_{document.number}_{document.id}.xml").mkdir(parents=True)
    outcome = rehearsal.go()
    assert (
        outcome.ties_out and outcome.counts() == (0, 1, 0, 0) and rehearsal.held() == {document.id: "RECEIVER_REFUSED"}
    )
    assert rehearsal.receiver().state == "up", "that is no trouble of the server's"


def test_the_same_bytes_are_there_already(rehearsal: Rehearsal) -> None:
    document = rehearsal.add()
    folder = rehearsal.banqup.receivers[ONE].folder / "invoice_import/C1001_0701234576/AP"
    folder.mkdir(parents=True)
    (folder / f"20260302_{document.number}_{document.id}.xml").write_bytes(rehearsal.data(document))
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (1, 0, 0, 0) and rehearsal.has(document)


@pytest.mark.parametrize("fault", ["read_only", "no_mkdir", "no_rename"])
def test_a_server_that_takes_nothing(rehearsal: Rehearsal, fault: str) -> None:
    documents = one_each(rehearsal)
    more = rehearsal.add()
    sftp = rehearsal.banqup.receivers[ONE].server.sftp
    sftp.configure(**{fault: True})
    outcome = rehearsal.go()
    assert red(outcome).startswith("2 documents wait. ") and "permission denied" in red(outcome)
    assert [type(error) for error in outcome.errors] == [ReceiverRefused]
    assert rehearsal.held() == {} and rehearsal.receiver().error_kind == "ReceiverRefused"
    assert rehearsal.has(documents[TWO], client=TWO)
    sftp.heal()
    assert rehearsal.go().ties_out and rehearsal.has(documents[ONE], more)


def test_a_folder_of_several_that_takes_nothing(rehearsal: Rehearsal, logged: AsyncSshServer) -> None:
    purchase, sale = rehearsal.add(), rehearsal.add(folder=SALES)
    logged.faults.refuse_writes_in = "/invoice_import/C1001_0701234576/AR"
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.has(purchase) and rehearsal.held() == {sale.id: "RECEIVER_REFUSED"}
    logged.faults.refuse_writes_in = ""
    assert rehearsal.go().ties_out and rehearsal.has(purchase, sale)


def test_a_full_disk(rehearsal: Rehearsal) -> None:
    document = rehearsal.add()
    sftp = rehearsal.banqup.receivers[ONE].server.sftp
    sftp.configure(disk_full_after=100)
    outcome = rehearsal.go()
    assert red(outcome).startswith("1 documents wait. ") and rehearsal.paths() == []
    sftp.heal()
    assert rehearsal.go().ties_out and rehearsal.has(document)


def test_a_client_that_sweeps_its_folder(rehearsal: Rehearsal) -> None:
    documents = [rehearsal.add() for _ in range(3)]
    sftp = rehearsal.banqup.receivers[ONE].server.sftp
    sftp.configure(sweep=True)
    assert rehearsal.go().ties_out and len(sftp.statistics.swept) == len(documents)
    assert rehearsal.go().counts() == (0, 0, 3, 0) and len(sftp.statistics.swept) == len(documents)


# Which server, and how


def test_host_port_and_user_of_the_client_itself(rehearsal: Rehearsal) -> None:
    """The connection leads nowhere, the client's own settings lead to the second client's server."""
    there = rehearsal.banqup.receivers[TWO]
    clients = [entry.model_dump(exclude_none=True, mode="json") for entry in rehearsal.config.clients]
    own = {"host": "127.0.0.1", "port": there.server.sftp.port, "user": there.user.name}
    rehearsal.configure(clients=[{**clients[0], **own}, *clients[1:]])
    key, password = there.server.sftp.host_key, there.user.password
    rehearsal.targets[CONN] = lambda found: replace(
        found, host="nowhere.invalid", port=1, username="nobody", password=password, host_keys=(key,)
    )
    document = rehearsal.add(ONE)
    assert rehearsal.go().ties_out
    assert [file.name for file in rehearsal.received(TWO).values()] == [f"20260302_{document.number}_{document.id}.xml"]
    assert rehearsal.paths(ONE) == []


def test_how_long_a_servers_answer_is_waited_for(rehearsal: Rehearsal) -> None:
    client: BanqupClientConfig = rehearsal.config.enabled_clients()[ONE]
    delivery = BanqupDelivery(connect_seconds=7)
    assert sending.target_of(client, delivery, rehearsal.target).connect_timeout == 7
    rehearsal.targets[CONN] = lambda found: replace(found, connect_timeout=3)
    assert sending.target_of(client, delivery, rehearsal.target).connect_timeout == 3


def test_a_silent_server_is_given_up(rehearsal: Rehearsal) -> None:
    rehearsal.targets[CONN] = lambda found: replace(found, connect_timeout=0.3)  # the others take their time
    documents = one_each(rehearsal)
    rehearsal.banqup.receivers[ONE].server.down(silent=True)
    outcome = rehearsal.go()
    assert "within 0.3 seconds" in red(outcome) and rehearsal.has(documents[TWO], client=TWO)


def test_the_clients_concurrency_is_respected(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [entry.model_dump(exclude_none=True, mode="json") for entry in rehearsal.config.clients]
    rehearsal.configure(clients=[{**clients[0], "concurrency": 2}, *clients[1:]])
    documents = [rehearsal.add(minutes=90 - number) for number in range(9)]
    sftp_class = asyncssh.SFTPServer
    now_open: set[int] = set()
    most = 0
    open_file, close_file = sftp_class.open, sftp_class.close

    def opened(self: asyncssh.SFTPServer, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        nonlocal most
        found = open_file(self, path, pflags, attrs)
        now_open.add(id(found))
        most = max(most, len(now_open))
        return found

    def closed(self: asyncssh.SFTPServer, file_obj: object) -> object:
        now_open.discard(id(file_obj))
        return close_file(self, file_obj)

    monkeypatch.setattr(sftp_class, "open", opened)
    monkeypatch.setattr(sftp_class, "close", closed)
    assert rehearsal.go().ties_out and rehearsal.has(*documents)
    assert most == 2


def test_final_names_are_asked_for_in_order(
    rehearsal: Rehearsal, logged: AsyncSshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_each, ordered = SftpSession.deliver_each, []

    def noted(
        self: SftpSession, files: Sequence[OutgoingFile], options: DeliveryOptions, journal: Journal
    ) -> list[Receipt | ReceiverRefused]:
        ordered.append(options.ordered)
        return deliver_each(self, files, options, journal)

    monkeypatch.setattr(SftpSession, "deliver_each", noted)
    documents = [rehearsal.add(minutes=minutes) for minutes in (10, 90, 50, 70, 30)]
    documents += [rehearsal.add(folder=SALES, minutes=60)]
    assert rehearsal.go().ties_out
    # A quick server would do so by itself.
    assert ordered == [True]
    assert order(logged) == [documents[number].id for number in (1, 3, 5, 2, 4, 0)]


# Tasks


def test_clients_are_shared_out_among_tasks(rehearsal: Rehearsal) -> None:
    one_each(rehearsal)
    rehearsal.configure(delivery={"tasks": 2, "shared_tasks": 2})
    rehearsal.banqup.receivers[TWO].server.down()
    first = rehearsal.go()
    assert first.shares == [[ONE, THREE], [TWO]]
    one_each(rehearsal)
    rehearsal.configure(delivery={"tasks": 2, "shared_tasks": 1})
    assert rehearsal.go().shares == [[ONE, THREE], [TWO]], "the one in trouble by itself, and last"
    rehearsal.configure()
    one_each(rehearsal)
    assert rehearsal.go().shares == [[ONE], [THREE], [TWO]]
