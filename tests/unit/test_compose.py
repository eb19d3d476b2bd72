"""What `make up` starts: pinned, on this machine alone, its password nowhere in the repository."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_it_starts_localstack_and_sql_server() -> None:
    assert SERVICES.keys() == {"localstack", "sqlserver"}
    assert SERVICES["localstack"]["image"] == "localstack/localstack:4.14.0"  # later ones want an account
    assert SERVICES["sqlserver"]["environment"]["MSSQL_PID"] == "Developer"


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_to_one_release(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.fullmatch(r"\d+\.\d+\.\d+|2022-CU\d+-ubuntu-22\.04", tag)


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_open_to_this_machine_only(name: str) -> None:
    assert SERVICES[name]["ports"]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in SERVICES[name]["ports"])
    assert "network_mode" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_when_it_is_ready_and_keeps_what_it_has_in_a_named_volume(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert {volume.partition(":")[0] for volume in SERVICES[name]["volumes"]} & COMPOSE["volumes"].keys()


def test_the_password_comes_from_the_variable_alone() -> None:
    password = SERVICES["sqlserver"]["environment"]["MSSQL_SA_PASSWORD"]
    assert re.fullmatch(r"\$\{MSSQL_SA_PASSWORD:\?[^}]*\}", password)  # compose stops where it is not set
    assert "$$MSSQL_SA_PASSWORD" in " ".join(SERVICES["sqlserver"]["healthcheck"]["test"])


def test_localstack_in_docker_has_the_settings_of_host_mode() -> None:
    host = (ROOT / "tests" / "localstack" / "host").read_text()
    settings = {name: v for name, v in SERVICES["localstack"]["environment"].items() if name != "LS_LOG"}
    assert "PROVIDER_OVERRIDE_DYNAMODB" in settings
    assert [name for name, value in settings.items() if f" {name}={value} " not in host] == []


def test_the_password_is_made_once_is_strong_and_its_owners_alone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    secret = tmp_path / ".env"

    def make() -> str:
        subprocess.run(["make", "-s", ".env"], cwd=tmp_path, check=True)
        return secret.read_text()

    first = make()
    name, _, password = first.strip().partition("=")
    assert name == "MSSQL_SA_PASSWORD"
    assert len(password) >= 24
    assert all(re.search(kind, password) for kind in ("[a-z]", "[A-Z]", "[0-9]", "-"))
    assert re.fullmatch(r"[\w-]+", password)  # it goes into a URL as it is
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert make() == first
    secret.unlink()
    assert make() != first
    assert subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=ROOT, check=False).returncode == 0
