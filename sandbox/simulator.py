"""What every simulator of an outside system offers to the sandbox that runs it."""

from __future__ import annotations

from typing import Any, Protocol


class NotHandled(Exception):
    """A simulator's `control` does not know the path."""


class Simulator(Protocol):
    """One simulated system.

    Attributes:
        name: Its name in the control API: `/sandbox/<name>/…`.
    """

    name: str

    def start(self) -> None:
        """Starts serving; returns when clients can connect."""

    def stop(self) -> None:
        """Stops; harmless when not running."""

    def environment(self) -> dict[str, str]:
        """Environment variables by which integrations find it, such as `AIRFLOW_CONN_…`."""

    def state(self) -> dict[str, Any]:
        """What it has seen and what is switched, as JSON-ready values."""

    def control(self, method: str, path: list[str], body: Any) -> Any:
        """Answers a control request below its name with a JSON-ready value.

        Raises:
            NotHandled: The path is unknown.
            KeyError: The thing named does not exist.
            ValueError: The body makes no sense; the message says why.
        """
