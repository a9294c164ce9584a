"""Airflow's own API server application in a process of its own, on a socket that the caller listens on already."""

from __future__ import annotations

import socket
import sys

import uvicorn
from airflow.cli import cli_parser


def airflow(*arguments: str) -> None:
    parsed = cli_parser.get_parser().parse_args(arguments)
    parsed.func(parsed)


def main(file_descriptor: int) -> None:
    airflow("db", "migrate")
    airflow("dags", "reserialize")
    from airflow.api_fastapi.app import create_app

    listening = socket.socket(fileno=file_descriptor)
    server = uvicorn.Server(uvicorn.Config(create_app(), log_level="warning", lifespan="on"))
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(int(sys.argv[1]))
