"""docker-compose.yaml as far as it can be checked without Docker: structure, hardening, no default secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW = sorted(name for name in SERVICES if name.startswith("airflow-"))
LONG_RUNNING = sorted(set(SERVICES) - {"airflow-init"})
SERVICE_KEYS = {
    "build", "image", "user", "restart", "read_only", "tmpfs", "cap_drop", "security_opt", "networks", "logging",
    "volumes", "environment", "depends_on", "command", "entrypoint", "ports", "healthcheck", "configs",
    "stop_grace_period", "env_file",
}  # fmt: skip
# ${NAME}, ${NAME:-default}, ${NAME:?message}; `$$` is a dollar sign for the container's shell.
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


def test_components_of_a_celery_deployment() -> None:
    assert set(AIRFLOW) == {
        "airflow-init", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
        "airflow-worker",
    }  # fmt: skip
    assert set(SERVICES) - set(AIRFLOW) == {"postgres", "redis"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_only_keys_that_compose_knows(name: str) -> None:
    assert set(SERVICES[name]) <= SERVICE_KEYS


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_references_exist(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert {config["source"] for config in service.get("configs", [])} <= set(COMPOSE["configs"])
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or (ROOT / source).exists(), volume


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_every_service_is_watched_and_restarted(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_can_gain_privileges(name: str) -> None:
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]


@pytest.mark.parametrize("name", AIRFLOW)
def test_airflow_runs_without_root_on_a_read_only_file_system(name: str) -> None:
    service = SERVICES[name]
    assert service["user"].startswith("${AIRFLOW_UID:-50000}")
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    code = [volume for volume in service["volumes"] if volume.startswith("./")]
    assert code and all(volume.endswith(":ro") for volume in code)


def test_only_the_api_server_is_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["airflow-apiserver"]
    assert all(port.startswith("127.0.0.1:") for port in published["airflow-apiserver"])
    assert COMPOSE["networks"]["internal"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["internal"]


def test_secrets_have_no_defaults() -> None:
    secret = re.compile(r"PASSWORD|SECRET|FERNET")
    used = VARIABLE.findall(TEXT)
    names = {name for name, _, _ in used if secret.search(name)}
    assert names == {
        "FERNET_KEY", "API_SECRET_KEY", "JWT_SECRET", "AIRFLOW_DB_PASSWORD", "LEDGER_DB_PASSWORD", "REDIS_PASSWORD",
        "ADMIN_PASSWORD",
    }  # fmt: skip
    assert {(name, mark) for name, mark, _ in used if name in names} == {(name, "?") for name in names}
    assert all(message for name, mark, message in used if mark == "?")


def test_the_example_environment_names_every_variable_and_gives_no_secret() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    given = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE))
    used = {name for name, _, _ in VARIABLE.findall(TEXT)} - {"TIEOUT_IMAGE"}
    assert set(given) == used
    required = {name for name, mark, _ in VARIABLE.findall(TEXT) if mark == "?"}
    assert {given[name] for name in required} == {""}


def test_the_ledger_has_a_database_and_a_user_of_its_own() -> None:
    environment = SERVICES["airflow-worker"]["environment"]
    ledger, metadata = environment["AIRFLOW_CONN_TIEOUT_LEDGER"], environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert ledger.endswith("@postgres/tieout_ledger") and ledger.startswith("postgresql://tieout:")
    assert metadata.endswith("@postgres/airflow")
    script = COMPOSE["configs"]["ledger-database"]["content"]
    assert "CREATE DATABASE tieout_ledger OWNER tieout" in script


def test_all_airflow_services_share_one_set_of_keys_and_staging() -> None:
    shared = (
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__API__SECRET_KEY",
        "TIEOUT_STAGING",
    )
    for name in shared:
        assert len({SERVICES[service]["environment"][name] for service in AIRFLOW}) == 1


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    allowed = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    for line in re.findall(r"^COPY --chown=airflow:0 (.+)$", dockerfile, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in allowed, source


def test_the_image_installs_the_lock_and_airflow_has_the_locks_version() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lock = (ROOT / "requirements-production.lock").read_text(encoding="utf-8")
    version = re.search(r"^apache-airflow==(\S+)", lock, re.MULTILINE)
    assert version and f"apache/airflow:{version[1]}-python3.12" in dockerfile
    assert "--require-hashes -r requirements-production.lock" in dockerfile
