"""The simulated Banqup: its API, a partner's clients with their documents, and the clients' SFTP servers."""

from sandbox.banqup.clients import ACTIVATED_AT, BanqupClient, instance_yaml, make_clients
from sandbox.banqup.documents import Document, DocumentStore, Space
from sandbox.banqup.faults import FAULT_KINDS, Faults
from sandbox.banqup.receivers import ReceivedFile, Receiver, ReceiverServer, make_receivers, received
from sandbox.banqup.scenario import Expected, Mixture, Scenario, expected_of, generate
from sandbox.banqup.server import BanqupServer
from sandbox.banqup.simulator import BanqupSimulator

__all__ = [
    "ACTIVATED_AT", "FAULT_KINDS", "BanqupClient", "BanqupServer", "BanqupSimulator", "Document", "DocumentStore",
    "Expected", "Faults", "Mixture", "ReceivedFile", "Receiver", "ReceiverServer", "Scenario", "Space", "expected_of",
    "generate", "instance_yaml", "make_clients", "make_receivers", "received",
]  # fmt: skip
