"""The control API: what a test does to the sandbox in Python, over HTTP for another process.

`GET /sandbox/` tells everything; `/sandbox/<simulator>/…` goes to that simulator; `POST /sandbox/clock` moves time;
`POST /sandbox/scenario/<name>` is short for the Service Layer's scenarios. Loopback only, no authentication.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from sandbox.clock import SandboxClock
from sandbox.http_server import HttpServer, Reply, Request, json_reply
from sandbox.peakflo import PaymentEditingDisabled
from sandbox.simulator import NotHandled, Simulator


class ControlApi:
    """Serves the control API on a port of its own."""

    def __init__(self, simulators: Mapping[str, Simulator], clock: SandboxClock, *, port: int = 0) -> None:
        self._simulators = simulators
        self._clock = clock
        self._http = HttpServer(self.handle, name="sandbox-control", port=port)

    @property
    def url(self) -> str:
        """Base URL; paths start with /sandbox/."""
        return self._http.url

    def start(self) -> None:
        """Starts serving."""
        self._http.start()

    def stop(self) -> None:
        """Stops serving."""
        self._http.stop()

    def handle(self, request: Request) -> Reply:
        """Answers one control request; problems are a sentence in `error`."""
        try:
            return json_reply(self._answer(request))
        except NotHandled:
            return json_reply({"error": f"{request.method} {request.path} is no control path of this sandbox."}, 404)
        except KeyError as error:
            return json_reply({"error": f"There is no {error.args[0]!r}."}, 404)
        except PaymentEditingDisabled as error:
            return json_reply({"error": str(error)}, 423)
        except (ValueError, TypeError, AttributeError) as error:
            return json_reply({"error": str(error)}, 400)

    def _answer(self, request: Request) -> Any:
        parts = [unquote(part) for part in request.target.partition("?")[0].strip("/").split("/")]
        if parts[0] != "sandbox":
            raise NotHandled
        body = request.json()
        match request.method, parts[1:]:
            case "GET", []:
                return self._overview()
            case "GET", ["clock"]:
                return {"now": self._clock.now().isoformat()}
            case "POST", ["clock"]:
                return {"now": self._clock.advance(float(body["advance_seconds"])).isoformat()}
            case _, ["scenario", *rest]:
                return self._simulators["sap_b1"].control(request.method, ["scenario", *rest], body)
            case _, [name, *rest] if name in self._simulators:
                return self._simulators[name].control(request.method, rest, body)
        raise NotHandled

    def _overview(self) -> dict[str, Any]:
        return {
            "clock": self._clock.now().isoformat(),
            "simulators": {name: simulator.state() for name, simulator in self._simulators.items()},
        }
