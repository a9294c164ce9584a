"""Real Airflow components as children under our control: for the demo, for `make start` and for the tests.

    with AirflowServices(home, {"AIRFLOW_CONN_SAP_B1": "…"}) as airflow:
        airflow.wait_healthy()
        run_id = airflow.trigger("sap_b1_to_peakflo", {"dry_run": True})
        run = airflow.wait_run("sap_b1_to_peakflo", run_id)      # run["state"] is "success" or "failed"

Scheduler, DAG processor, API server and triggerer run on loopback with settings from bin/_env.sh, each with its output
in a file under `<home>/services/`. A component that dies is started again, which `airflow standalone` does not do.
Nothing outlives the `with` block, nor this process, even when it is killed.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import psutil
import urllib3

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
HEALTH = ("metadatabase", "scheduler", "triggerer", "dag_processor")
MOST_RESTARTS = 5
STOP_PATIENCE = 15.0
# Linux tells a child that its parent is gone (PR_SET_PDEATHSIG); where that is missing the child runs without it.
LAUNCHER = """
import os, signal, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
except (AttributeError, OSError):
    pass
if os.getppid() != int(sys.argv[1]):
    raise SystemExit("the starting process is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class AirflowError(Exception):
    """Airflow did not start, answer or finish; the message says which component and where its log is."""


def project_environment(
    home: Path, overrides: Mapping[str, str] | None = None, *, prepare: bool = True
) -> dict[str, str]:
    """What bin/airflow would run with for this home: its settings, keys and paths; the home prepared if asked.

    Args:
        home: The AIRFLOW_HOME; made when missing.
        overrides: Variables that win over the project's defaults.
        prepare: Whether to migrate databases and load airflow_settings.yaml when that was not done yet.

    Raises:
        AirflowError: The home could not be prepared.
    """
    script = f"set -euo pipefail; . {ROOT / 'bin' / '_env.sh'}; " + ("_prepare_home; " if prepare else "")
    script += '"$TIEOUT_PYTHON" -I -S -c "import json, os; print(json.dumps(dict(os.environ)))"'
    environ = {**os.environ, **(overrides or {}), "AIRFLOW_HOME": str(home), "TIEOUT_ROOT": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AirflowError(f"{home} could not be prepared: {done.stderr.strip()}")
    result: dict[str, str] = json.loads(done.stdout)
    return result


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Component:
    """One Airflow process and the file that its output goes to."""

    def __init__(self, name: str, arguments: tuple[str, ...], env: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self.restarts = -1
        self._command = [str(PYTHON), "-m", "airflow", *arguments]
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._sessions: set[int] = set()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self.is_running() and self._process else None

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, once more if it has run before; output is appended to the log.

        A scheduler that was killed leaves its fork server and workers behind: they go first.
        """
        self.kill_left_behind()
        launch = [str(PYTHON), "-I", "-S", "-c", LAUNCHER, str(os.getpid()), *self._command]
        with open(self.log, "ab") as sink:
            # A session of its own: Ctrl-C in the terminal reaches us, and we stop the children in order.
            self._process = subprocess.Popen(
                launch, env=self._env, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )
        self._sessions.add(self._process.pid)
        self.restarts += 1

    def kill_left_behind(self) -> None:
        """Kill what earlier processes of this component started and did not take with them."""
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getsid(process.pid) in self._sessions and process.pid != self.pid:
                    process.kill()
                    left.append(process)
        psutil.wait_procs(left, timeout=STOP_PATIENCE)

    def family(self) -> list[psutil.Process]:
        """The process and all its descendants."""
        if self._process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            leader = psutil.Process(self._process.pid)
            return [leader, *leader.children(recursive=True)]
        return []

    def terminate(self) -> None:
        """Ask it to stop."""
        if self.is_running() and self._process:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float) -> None:
        """Wait for it to stop, up to `timeout` seconds."""
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(timeout, 0))

    def reap(self) -> None:
        """Collect its exit status once it has been killed."""
        if self._process:
            self._process.wait()

    def tail(self, lines: int = 25) -> str:
        """The last lines of its output."""
        with contextlib.suppress(FileNotFoundError), open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(collections.deque(log, maxlen=lines))
        return ""


class AirflowServices:
    """Airflow's four components on one home, for as long as the `with` block lasts.

    Attributes:
        url: Base URL of UI and API, on loopback.
        env: The environment that the components run with; right for `bin/airflow` and `bin/tieout` beside them.
        home: The AIRFLOW_HOME.
    """

    def __init__(self, home: Path | str, env: Mapping[str, str] | None = None, *, port: int | None = None) -> None:
        self.home = Path(home).resolve()
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env: dict[str, str] = {}
        self.components: dict[str, Component] = {}
        self._overrides = dict(env or {})
        self._http = urllib3.PoolManager(retries=urllib3.Retry(3, backoff_factor=0.2, status_forcelist=(502, 503)))
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._supervisor: threading.Thread | None = None
        self._given_up: str = ""
        self._tokens: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> AirflowServices:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- processes

    def start(self) -> None:
        """Prepare the home if necessary and start the components; see `wait_healthy` for when they are usable.

        Raises:
            AirflowError: The home cannot be prepared, or somebody else listens on the port.
        """
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError:
                raise AirflowError(f"port {self.port} is taken; stop what listens there, or choose another.") from None
        placed = {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
        }
        self.env = project_environment(self.home, {**self._overrides, **placed})
        logs = self.home / "services"
        logs.mkdir(exist_ok=True)
        for name, arguments in COMPONENTS.items():
            self.components[name] = Component(name, arguments, self.env, logs / f"{name}.log")
        self._supervisor = threading.Thread(target=self._supervise, name="airflow-services", daemon=True)
        self._supervisor.start()
        self._started.wait()

    def _supervise(self) -> None:
        # All children are started from this one thread: Linux ties PR_SET_PDEATHSIG to the thread that forked.
        for component in self.components.values():
            component.start()
        self._started.set()
        while not self._stopping.wait(0.5):
            for component in self.components.values():
                if component.is_running():
                    continue
                if component.restarts >= MOST_RESTARTS:
                    self._given_up = f"{component.name} keeps dying; its output is in {component.log}"
                    self._stopping.wait()  # the others' parent thread must stay as long as they run
                    return
                component.start()

    def stop(self) -> None:
        """Stop all components and whatever they started; kills what is left after some patience."""
        self._stopping.set()
        families = [process for component in self.components.values() for process in component.family()]
        for component in self.components.values():
            component.terminate()
        deadline = time.monotonic() + STOP_PATIENCE
        for component in self.components.values():
            component.wait(deadline - time.monotonic())
        _, alive = psutil.wait_procs(families, timeout=0)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for component in self.components.values():
            component.reap()
            component.kill_left_behind()
        psutil.wait_procs(alive, timeout=STOP_PATIENCE)
        if self._supervisor:
            self._supervisor.join()
        self._http.clear()

    # --- REST

    def wait_healthy(self, timeout: float = 240.0) -> None:
        """Return when the API answers and scheduler, DAG processor and triggerer have reported themselves.

        Raises:
            AirflowError: Not within `timeout` seconds; the message ends with the unhealthy components' last output.
        """
        ill: list[str] = list(HEALTH)
        for _ in self._attempts(timeout):
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                answer = self._http.request("GET", f"{self.url}/api/v2/monitor/health", retries=False, timeout=5.0)
                if answer.status == 200:
                    health = answer.json()
                    ill = [name for name in HEALTH if (health.get(name) or {}).get("status") != "healthy"]
                    if not ill:
                        return
        suspects = {"metadatabase": "api-server"}
        outputs = [self.components[suspects.get(name, name.replace("_", "-"))] for name in ill]
        tails = "\n".join(f"--- {component.log}\n{component.tail()}" for component in dict.fromkeys(outputs))
        raise AirflowError(f"Airflow is not healthy after {timeout:.0f} s ({', '.join(ill)}):\n{tails}")

    def passwords(self) -> dict[str, str]:
        """User name → password, as Airflow's simple auth manager generated them."""
        path = self.env.get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")
        file = Path(path) if path else self.home / "simple_auth_manager_passwords.json.generated"
        passwords: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return passwords

    def token(self, user: str = "admin") -> str:
        """A bearer token for the API, kept for ten minutes."""
        known, until = self._tokens.get(user, ("", 0.0))
        if time.monotonic() < until:
            return known
        body = {"username": user, "password": self.passwords()[user]}
        answer = self._http.request("POST", f"{self.url}/auth/token", json=body, timeout=30.0)
        if answer.status >= 300:
            raise AirflowError(f"logging in as {user} was answered with {answer.status}.")
        fresh: str = answer.json()["access_token"]
        self._tokens[user] = (fresh, time.monotonic() + 600)
        return fresh

    def request(self, method: str, path: str, body: Any = None, *, user: str = "admin") -> tuple[int, Any]:
        """One API call; returns the status and the decoded JSON (None when there is no JSON)."""
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        options: dict[str, Any] = {"headers": headers, "timeout": 60.0}
        if body is not None:
            options["json"] = body
        answer = self._http.request(method, f"{self.url}{path}", **options)
        try:
            return answer.status, answer.json()
        except ValueError:
            return answer.status, None

    def get(self, path: str) -> Any:
        """The JSON of one GET that must succeed."""
        status, content = self.request("GET", path)
        if status != 200:
            raise AirflowError(f"GET {path} was answered with {status}: {content}")
        return content

    def wait_dag(self, dag_id: str, timeout: float = 180.0) -> None:
        """Return when the DAG processor has read a DAG.

        Raises:
            AirflowError: It has not within `timeout` seconds; the message has the import errors, if any.
        """
        for _ in self._attempts(timeout):
            if self.request("GET", f"/api/v2/dags/{quote(dag_id)}")[0] == 200:
                return
        errors = self.get("/api/v2/importErrors").get("import_errors", [])
        traces = "\n".join(f"{error['filename']}: {error['stack_trace']}" for error in errors) or "no import errors"
        raise AirflowError(f"DAG {dag_id} is not there after {timeout:.0f} s; {traces}")

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run a DAG; a DAG with a schedule starts a run of its latest interval at once."""
        for _ in self._attempts(30):
            if self.request("PATCH", f"/api/v2/dags/{quote(dag_id)}", {"is_paused": False})[0] == 200:
                return
        raise AirflowError(f"DAG {dag_id} could not be unpaused.")

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        logical_date: str | None = None,
        unpause: bool = True,
    ) -> str:
        """Start a run and return its id. Waits until the DAG has been read; unpauses it unless told not to.

        The run id is chosen here, so that a request whose answer was lost can be repeated without a second run.
        """
        self.wait_dag(dag_id)
        if unpause:
            self.unpause(dag_id)
        run_id = f"manual__{uuid.uuid4()}"
        body = {"dag_run_id": run_id, "logical_date": logical_date, "conf": dict(conf or {})}
        status, content = 0, None
        for _ in self._attempts(30):
            status, content = self.request("POST", f"/api/v2/dags/{quote(dag_id)}/dagRuns", body)
            if status in (200, 201, 409):
                return run_id
            if status < 500:
                break
        raise AirflowError(f"triggering {dag_id} was answered with {status}: {content}")

    def first_run(self, dag_id: str, timeout: float = 180.0) -> str:
        """The id of the oldest run of a DAG, as soon as the scheduler has made one by itself.

        Raises:
            AirflowError: It makes none within `timeout` seconds.
        """
        for _ in self._attempts(timeout):
            status, found = self.request("GET", f"/api/v2/dags/{quote(dag_id)}/dagRuns?order_by=id&limit=1")
            if status == 200 and found["dag_runs"]:
                return str(found["dag_runs"][0]["dag_run_id"])
        raise AirflowError(f"The scheduler made no run of {dag_id} within {timeout:.0f} s.")

    def wait_run(self, dag_id: str, run_id: str, timeout: float = 300.0) -> dict[str, Any]:
        """The finished run, successful or failed.

        Raises:
            AirflowError: It has not finished within `timeout` seconds; the message has the states of its tasks.
        """
        path = f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"
        for _ in self._attempts(timeout):
            status, run = self.request("GET", path)
            if status == 200 and run["state"] in ("success", "failed"):
                finished: dict[str, Any] = run
                return finished
        states = ", ".join(
            f"{task['task_id']}[{task['map_index']}] {task['state']}" for task in self.tasks(dag_id, run_id)
        )
        raise AirflowError(f"run {run_id} of {dag_id} has not finished after {timeout:.0f} s: {states}")

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's task instances, as the API describes them."""
        path = f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}/taskInstances?limit=1000"
        tasks: list[dict[str, Any]] = self.get(path)["task_instances"]
        return tasks

    def task_log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, attempt: int = 1) -> str:
        """One task attempt's log as text, one event per line."""
        path = f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}/taskInstances/{quote(task_id)}/logs/{attempt}"
        content = self.get(f"{path}?map_index={map_index}&full_content=true").get("content", [])
        return "\n".join(json.dumps(line) if isinstance(line, dict) else str(line) for line in content)

    def _attempts(self, timeout: float) -> Iterator[None]:
        """Come round five times a second until the time is over; stops early when a component cannot be kept alive."""
        deadline = time.monotonic() + timeout
        while True:
            yield
            if self._given_up:
                raise AirflowError(self._given_up)
            if time.monotonic() > deadline or self._stopping.wait(0.2):
                return
