"""Stampli as a simulator of the sandbox: the SFTP server over its folder, and the drop by control paths."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.data import AS_OF
from sandbox.sftp import SftpUser
from sandbox.sftp_simulator import SftpSimulator
from sandbox.simulator import NotHandled
from sandbox.stampli.drop import StampliDrop
from sandbox.stampli.mixture import correction_drop, mixed_drop
from sandbox.stampli.purchase_orders import received_orders
from sandbox.stampli.scenario import DropSizes, Scenario


class StampliSftpSimulator(SftpSimulator):
    """Stampli's SFTP server.

    Args:
        root: The folder that clients see as `/`.
        company: Gives the books that mixed drops are made for; asked only then.
        users: Who may log in.
    """

    name = "stampli_sftp"

    def __init__(self, root: Path, company: Callable[[], Company], users: tuple[SftpUser, ...] = ()) -> None:
        super().__init__(root, users)
        self.drop = StampliDrop(root)
        self.scenario: Scenario | None = None
        """The last mixed drop."""
        self._company = company

    def start(self) -> None:
        """Makes the folders and starts serving."""
        self.drop.prepare()
        super().start()

    def mixed_drop(
        self, seed: int = 1, *, sizes: DropSizes | None = None, as_of: date = AS_OF, own_ids: bool = False
    ) -> Scenario:
        """Puts a day's files for the sandbox's company; see `sandbox.stampli.mixed_drop`."""
        self.scenario = mixed_drop(self.drop, self._company(), seed=seed, sizes=sizes, own_ids=own_ids, as_of=as_of)
        return self.scenario

    def state(self) -> dict[str, Any]:
        """Also the files that wait, and those in the archive."""
        return {**super().state(), "waiting": self.drop.waiting(), "archived": self.drop.archived()}

    def control(self, method: str, path: list[str], body: Any) -> Any:
        """Control paths.

        `faults`; `files`, `files/<name>`, `files/archive/YYYY/MM/<name>`; `uploads/<name>`; `mixed_drop`,
        `correction_drop`; `purchase_orders`.
        """
        match method, path:
            case _, ["files" | "uploads", *rest]:
                return self._files(method, path[0], rest, body)
            case "POST", ["mixed_drop"]:
                return self._mixed_drop(dict(body or {}))
            case "GET", ["mixed_drop"] if self.scenario is not None:
                return self.scenario.as_dict()
            case "POST", ["correction_drop"] if self.scenario is not None:
                return vars(correction_drop(self.drop, self.scenario, **(body or {})))
            case "GET", ["purchase_orders"]:
                return [orders.as_dict() for orders in received_orders(self.drop.root)]
        return super().control(method, path, body)

    def _files(self, method: str, what: str, rest: list[str], body: Any) -> Any:
        drop = self.drop
        match method, what, rest:
            case "GET", "files", []:
                return {"waiting": drop.waiting(), "archived": drop.archived()}
            case "GET", "files", [*parts]:
                return {"base64": base64.b64encode(drop.read("/".join(parts))).decode("ascii")}
            case "PUT", "files", [name]:
                drop.put(name, _content(body))
            case "DELETE", "files", [name]:
                drop.remove(name)
            case "PUT", "uploads", [name]:
                drop.begin_upload(name, _content(body), int(body.get("first", 0)))
            case "PATCH", "uploads", [name]:
                return {"to_come": drop.continue_upload(name, int(body["bytes"]))}
            case "POST", "uploads", [name]:
                drop.finish_upload(name)
            case _:
                raise NotHandled
        return {"name": rest[0]}

    def _mixed_drop(self, body: dict[str, Any]) -> Any:
        """Takes `seed`, `own_ids` and the fields of `DropSizes`."""
        seed, own_ids = int(body.pop("seed", 1)), bool(body.pop("own_ids", False))
        unknown = sorted(set(body) - {field.name for field in fields(DropSizes)})
        if unknown:
            raise ValueError(f"A mixed drop has no {', '.join(unknown)}.")
        if "broken" in body:
            body["broken"] = tuple(body["broken"])
        return self.mixed_drop(seed, sizes=DropSizes(**body), own_ids=own_ids).as_dict()


def _content(body: Any) -> bytes:
    """`text` (put as UTF-8) or `base64`."""
    if not isinstance(body, dict) or not ({"text", "base64"} & set(body)):
        raise ValueError("Give the file's content as 'text' or 'base64'.")
    if "text" in body:
        return str(body["text"]).encode()
    try:
        return base64.b64decode(body["base64"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"base64 cannot be decoded: {error}.") from None
