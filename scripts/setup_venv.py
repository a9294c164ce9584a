"""Bring up `.venv` from the hashed lock files; does nothing, in milliseconds, when it is already there.

Runs on the system's Python before anything is installed: the standard library only, and nothing that an interpreter
too old for Tieout could not read, so that its user gets a sentence instead of a SyntaxError.

The work is done once per content of the lock files, pyproject.toml, the interpreter's version and the folder's place
(console scripts and the editable install carry absolute paths): `.venv/.tieout-setup` remembers their digest.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from typing import IO, NoReturn, Optional, Tuple  # noqa: UP035  old interpreters get a sentence, not an error

Version = Tuple[int, int]  # noqa: UP006

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, ".tieout-setup")
LOCK = "requirements-dev.lock"
UV_LOCK = "requirements-uv.lock"
SUPPORTED = ((3, 11), (3, 12), (3, 13))


def say(text: str) -> None:
    """Report on stderr: stdout belongs to the command that needed the environment."""
    print(text, file=sys.stderr, flush=True)


def stop(text: str) -> NoReturn:
    """Give up with one sentence instead of a traceback."""
    say("setup: " + text)
    raise SystemExit(1)


def run(command: list[str], quiet: bool = False) -> bool:
    """Run a command with its output on stderr, or nowhere; true when it succeeded."""
    sink = subprocess.DEVNULL if quiet else sys.stderr
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=ROOT).returncode == 0


def version_of(python: str) -> Optional[Version]:  # noqa: UP045
    """`(major, minor)` of an interpreter, or None when it cannot be run."""
    if os.path.abspath(python) == os.path.abspath(sys.executable):
        return sys.version_info[:2]
    ask = [python, "-S", "-E", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        major, minor = subprocess.run(ask, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.split()
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    return int(major), int(minor)


def digest(version: Version) -> str:
    """What the environment is made from: another digest means that the installation has to be looked at again."""
    sha = hashlib.sha256(repr((version, ROOT)).encode())
    for name in (LOCK, UV_LOCK, "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as source:
            sha.update(source.read())
    return sha.hexdigest()


def is_ready(version: Version) -> bool:
    """Whether the stamp says that the environment was made from exactly these files."""
    try:
        with open(STAMP) as stamp:
            return stamp.read().strip() == digest(version)
    except OSError:
        return False


def choose_python(asked: str) -> tuple[str, Version]:
    """The interpreter for a new environment: the one asked for, else this one, else a supported one on PATH."""
    if asked:
        version = version_of(shutil.which(asked) or asked)
        if version is None:
            stop(f"PYTHON={asked} cannot be run; give the name or path of Python 3.11, 3.12 or 3.13.")
        if version not in SUPPORTED:
            stop(f"PYTHON={asked} is Python {version[0]}.{version[1]}; Tieout needs Python 3.11, 3.12 or 3.13.")
        return asked, version
    here = "" if sys.executable == VENV_PYTHON else sys.executable
    for name in (here, "python3.13", "python3.12", "python3.11"):
        version = version_of(name) if name else None
        if version in SUPPORTED:
            return name, version
    stop(
        f"Tieout needs Python 3.11, 3.12 or 3.13, and this is {sys.version_info[0]}.{sys.version_info[1]}. "
        "Install one of them, or say where it is: make setup PYTHON=/path/to/python3.12"
    )


def create(python: str, version: Version) -> None:
    """Make a new, empty `.venv`; by uv when this Python was packaged without `venv`."""
    say(f"setup: creating .venv with Python {version[0]}.{version[1]}")
    if run([python, "-m", "venv", "--clear", VENV]):
        return
    uv = shutil.which("uv")
    if uv and run([uv, "venv", "--quiet", "--clear", "--seed", "--python", python, VENV]):
        return
    stop(
        "Python's own `venv` module does not work here. On Debian and Ubuntu: "
        f"apt-get install python{version[0]}.{version[1]}-venv; then run this again."
    )


def find_uv() -> str:
    """Find uv on PATH or in the environment, or bring it there from the package index; empty when out of reach."""
    own = os.path.join(VENV, "bin", "uv")
    uv = shutil.which("uv") or (own if os.path.exists(own) else "")
    if uv:
        return uv
    if not run([VENV_PYTHON, "-m", "pip", "--version"], quiet=True):
        run([VENV_PYTHON, "-m", "ensurepip", "--upgrade"], quiet=True)
    pip = [VENV_PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    return own if run([*pip, "--require-hashes", "-r", UV_LOCK]) else ""


def install() -> None:
    """Install what is locked, checked against its hashes, then this project itself: editable, built with what is there.

    uv is the faster installer. It does not read pip's configuration, so where only pip knows the package index, pip
    gets a second try.
    """
    pip = [VENV_PYTHON, "-m", "pip", "install", "--disable-pip-version-check"]
    uv = find_uv()
    tools = [[uv, "pip", "install", "--python", VENV_PYTHON], pip] if uv else [pip]
    say(f"setup: installing {LOCK}")
    for tool in tools:
        if run([*tool, "--require-hashes", "-r", LOCK]):
            break
    else:
        stop(f"the packages in {LOCK} could not be installed: see above, then run `make setup` again.")
    if not run([*tool, "--quiet", "--no-deps", "--no-build-isolation", "--editable", "."]):
        stop("this project could not be installed into .venv: see above.")


def wait_for_turn() -> IO[str]:
    """One set-up at a time: several commands may find the environment missing at once. Held until the file closes."""
    lock = open(os.path.join(ROOT, ".venv.lock"), "w")  # noqa: SIM115  the caller closes it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say("setup: waiting for another set-up of this folder")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def current(asked: str) -> Optional[Version]:  # noqa: UP045
    """Version of the environment's Python when it may stay: it runs, is supported and is the one asked for, if any."""
    version = version_of(VENV_PYTHON) if os.path.exists(VENV_PYTHON) else None
    if version not in SUPPORTED or (asked and version_of(shutil.which(asked) or asked) != version):
        return None
    return version


def main() -> None:
    """Make `.venv` what the lock files say, or find that it is."""
    asked = os.environ.get("PYTHON", "")
    version = current(asked)
    if version and is_ready(version):
        return
    with wait_for_turn():
        version = current(asked)
        if version and is_ready(version):
            return
        if version is None:
            python, version = choose_python(asked)
            create(python, version)
        install()
        with open(STAMP, "w") as stamp:
            stamp.write(digest(version) + "\n")
    say("setup: .venv is ready")


if __name__ == "__main__":
    main()
