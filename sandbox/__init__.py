"""The simulated outside world: ERPs, SaaS and an SFTP server, over real HTTP and SSH on loopback."""

from sandbox.clock import SandboxClock
from sandbox.sap_b1.data import DEFECTS, Planted, Sizes
from sandbox.sftp import SftpUser
from sandbox.world import Sandbox

__all__ = ["DEFECTS", "Planted", "Sandbox", "SandboxClock", "SftpUser", "Sizes"]
