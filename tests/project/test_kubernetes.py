"""deploy/kubernetes/values.yaml as far as it can be checked without a cluster, beside image and Compose file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tieout.yaml_file import load_yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "kubernetes" / "values.yaml").read_text(encoding="utf-8")
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
ENVIRONMENT: dict[str, str] = {entry["name"]: entry["value"] for entry in VALUES["env"]}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_airflow_has_the_locks_version() -> None:
    lock = (ROOT / "requirements-production.lock").read_text(encoding="utf-8")
    version = re.search(r"^apache-airflow==(\S+)", lock, re.MULTILINE)
    assert version and VALUES["airflowVersion"] == version[1]


def test_secrets_come_from_secrets_only() -> None:
    named = {
        VALUES["data"]["metadataSecretName"],
        VALUES["data"]["brokerUrlSecretName"],
        VALUES["fernetKeySecretName"],
        VALUES["apiSecretKeySecretName"],
        VALUES["jwtSecretName"],
        *(each["secretRef"]["name"] for each in yaml.safe_load(VALUES["extraEnvFrom"])),
    }
    explained = set(re.findall(r"^#   (tieout-\w+) ", TEXT, re.MULTILINE))
    assert named == explained
    assert not [name for name in ENVIRONMENT if re.search("PASSWORD|SECRET_KEY|FERNET|JWT|CONN|MAPPING_KEY", name)]
    assert VALUES["createUserJob"]["defaultUser"]["enabled"] is False


def test_neither_database_is_the_charts_own() -> None:
    assert VALUES["postgresql"]["enabled"] is VALUES["redis"]["enabled"] is False


def test_pods_share_staging_in_a_bucket() -> None:
    assert ENVIRONMENT["TIEOUT_STAGING"].startswith("s3://")
    assert ENVIRONMENT["TIEOUT_ENV"] == "production"


def test_the_paths_are_the_images() -> None:
    include = re.search(r"TIEOUT_INCLUDE=(\S+)", DOCKERFILE)
    assert include and ENVIRONMENT["TIEOUT_INCLUDE"] == include[1]
    workdir = re.search(r"^WORKDIR (\S+)", DOCKERFILE, re.MULTILINE)
    script = re.search(r"python (\S+\.py)", VALUES["migrateDatabaseJob"]["args"][-1])
    assert workdir and script
    assert (ROOT / Path(script[1]).relative_to(workdir[1])).is_file()


def test_the_ledger_is_migrated_before_airflow_lets_pods_start() -> None:
    command = VALUES["migrateDatabaseJob"]["args"][-1]
    assert command.index("tieout.ledger migrate") < command.index("airflow db migrate") < command.index("load_settings")
    assert "exec" in command and "&&" in command


def test_what_both_deployments_need_is_the_same_in_both() -> None:
    compose = COMPOSE["services"]["airflow-worker"]["environment"]
    both = {
        ("celery_broker_transport_options", "visibility_timeout"),
        ("scheduler", "scheduler_idle_sleep_time"),
        ("logging", "json_logs"),
        ("logging", "namespace_levels"),
        ("fab", "cookie_secure"),
        ("openlineage", "namespace"),
        ("openlineage", "execute_in_thread"),
        ("openlineage", "execution_timeout"),
        ("openlineage", "emission_policy"),
        ("openlineage", "execution_timeout"),
        ("openlineage", "emission_policy"),
    }
    for section, option in both:
        assert VALUES["config"][section][option] == compose[f"AIRFLOW__{section.upper()}__{option.upper()}"], option
    assert "--proxy-headers" in VALUES["apiServer"]["args"][-1]
    assert "--proxy-headers" in COMPOSE["services"]["airflow-apiserver"]["command"]


def test_no_key_stands_twice() -> None:
    """Which of the two would count is each parser's own business; ours refuses such a file."""
    load_yaml(ROOT / "deploy" / "kubernetes" / "values.yaml")
