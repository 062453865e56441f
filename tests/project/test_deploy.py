"""The files of deploy/, which are checked by the linters of the tools that read them.

No image is built here: that needs Docker's daemon and a registry.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.project.test_locks import parse, read
from tests.support.paths import ROOT
from unexpired_server import Settings, create_app

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = DEPLOY / "compose.yaml"
UNIT = DEPLOY / "unexpired.service"
PAGE = (ROOT / "docs" / "how-to" / "operate.md").read_text()
SCRIPTS = Path(sys.executable).parent
VERSION = tomllib.loads((ROOT / "server" / "pyproject.toml").read_text())["project"]["version"]
SECRETS = {"POSTGRES_PASSWORD": "aStrongPassword", "UNEXPIRED_SECRET": "A" * 43}
WORST_EXPOSURE = 15
"""Tenths, of 100; a service without any hardening has 96."""


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a linter; `environment` is added to this process's."""
    return subprocess.run(  # noqa: S603 - our own files
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def found(tool: str) -> str:
    """Return the path of a tool, or skip the test."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"there is no {tool} on this machine")
    return path


def instructions(stage: int) -> dict[str, list[str]]:
    """Return a stage's instructions, by name."""
    stages = re.split(r"^FROM ", DOCKERFILE.replace("\\\n", " "), flags=re.MULTILINE)
    lines = [line.partition(" ") for line in stages[stage].splitlines()[1:] if line]
    names = {name for name, _, _ in lines if name.isupper()}
    return {name: [rest for word, _, rest in lines if word == name] for name in names}


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = run(
        SCRIPTS / "hadolint", "--no-color", "--failure-threshold", "style", DEPLOY / "Dockerfile"
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_without_root_and_stops_by_a_signal() -> None:
    last = instructions(2)
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", last["USER"][-1])
    assert last["STOPSIGNAL"] == ["SIGTERM"]
    for name in ("ENTRYPOINT", "CMD"):  # Through a shell, the signal would not arrive.
        assert isinstance(json.loads(last[name][0]), list)
    assert "/healthz" in DOCKERFILE.partition("HEALTHCHECK")[2]
    assert f'org.opencontainers.image.version="{VERSION}"' in last["LABEL"][0]
    assert last["VOLUME"] == ["/data"]


def test_the_image_is_made_of_locked_wheels_and_has_nothing_to_install_with() -> None:
    build, last = instructions(1), instructions(2)
    assert "--require-hashes" in build["RUN"][0]
    assert "--only-binary :all:" in build["RUN"][0]
    assert "--no-index" in build["RUN"][1]
    assert "install" not in " ".join(last["RUN"]).replace("install -d", "")
    assert last["COPY"] == ["--from=build /opt/unexpired /opt/unexpired"]
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    assert kept == [
        "*",
        "!build/wheels/unexpired-*.whl",
        "!build/wheels/unexpired_server-*.whl",
        "!deploy/requirements.lock",
    ]


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested, locked = (
        {one.name: (one.requirement.specifier, one.hashes) for one in parse(read(name))}
        for name in ("requirements.lock", "deploy/requirements.lock")
    )
    assert {"uvicorn", "sqlalchemy", "asyncpg", "redis", "prometheus-client"} <= locked.keys()
    assert locked.items() <= tested.items()


def composed(**environment: str) -> subprocess.CompletedProcess[str]:
    command = (SCRIPTS / "docker-compose", "-f", COMPOSE, "config", "--format", "json")
    return run(*command, **environment)


def test_compose_accepts_its_file_and_asks_for_the_secrets() -> None:
    done = composed(**SECRETS)
    assert done.returncode == 0, done.stderr
    for name in SECRETS:
        refused = composed(**{**SECRETS, name: ""})
        assert refused.returncode != 0
        assert name in refused.stderr


def test_every_service_has_as_few_rights_as_it_needs() -> None:
    services: dict[str, dict[str, Any]] = json.loads(composed(**SECRETS).stdout)["services"]
    assert set(services) == {"postgres", "redis", "migrate", "node1", "node2", "proxy"}
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["mem_limit"]) > 0, name
        assert not service.get("privileged"), name
        has_check = "healthcheck" in service or name in {"node1", "node2"}  # The image's own.
        assert has_check, name
    published = [port for one in services.values() for port in one.get("ports", ())]
    assert [port["host_ip"] for port in published] == ["127.0.0.1"]
    assert services["node1"]["image"] == f"unexpired-server:{VERSION}"
    assert set(services["proxy"]["networks"]) == {"web"}  # Not where the database is.
    needs = services["node1"]["depends_on"]
    assert needs["migrate"]["condition"] == "service_completed_successfully"


def test_the_settings_of_the_nodes_are_settings() -> None:
    names = {f"UNEXPIRED_{name.upper()}" for name in Settings.model_fields}
    text = COMPOSE.read_text() + DOCKERFILE + UNIT.read_text()
    used = set(re.findall(r"\bUNEXPIRED_[A-Z_]+\b", text)) - {"UNEXPIRED_"}
    assert used <= names


@pytest.mark.parametrize("url", ["http://localhost:8080", "https://notes.example.com"])
def test_the_nodes_know_the_url_that_clients_use(url: str) -> None:
    """Proofs of sessions' keys are compared with it; without one, the proxy's port is meant."""
    chosen = {} if url.startswith("http://localhost") else {"UNEXPIRED_PUBLIC_URL": url}
    services: dict[str, dict[str, Any]] = json.loads(composed(**SECRETS, **chosen).stdout)[
        "services"
    ]
    (port,) = services["proxy"]["ports"]
    assert port["published"] == "8080"
    for node in ("node1", "node2"):
        assert services[node]["environment"]["UNEXPIRED_PUBLIC_URL"] == url


def test_haproxy_accepts_its_file() -> None:
    done = run(found("haproxy"), "-c", "-f", DEPLOY / "haproxy.cfg")
    assert done.returncode == 0, done.stderr
    problems = [
        line
        for line in done.stderr.splitlines()
        if "[WARNING]" in line and "could not resolve" not in line  # Names of containers.
    ]
    assert problems == []


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that exists on this machine."""
    file = tmp_path / UNIT.name
    program = "/opt/unexpired/bin/unexpired-server"
    assert program in UNIT.read_text()
    file.write_text(UNIT.read_text().replace(program, shutil.which("true") or "/bin/true"))
    return file


def test_systemd_accepts_the_unit(unit: Path) -> None:
    done = run(found("systemd-analyze"), "verify", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_is_hardened(unit: Path) -> None:
    done = run(
        found("systemd-analyze"),
        "security", "--offline=true", "--no-pager", f"--threshold={WORST_EXPOSURE}", unit,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
async def names(tmp_path: Path) -> set[str]:
    """The names that a running server exposes."""
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/test.sqlite3", keys_file=tmp_path / "keys.json"
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
        asyncio.timeout(10),
    ):
        while "purge_last_success" not in (text := (await http.get("/metrics")).text):
            await asyncio.sleep(0)
    families = list(text_string_to_metric_families(text))
    series = {sample.name for family in families for sample in family.samples}
    # A counter by a label is there before it has counted anything.
    counters = {f"{family.name}_total" for family in families if family.type == "counter"}
    return {name for name in series | counters if not name.endswith("_created")}


def test_every_alert_is_about_metrics_that_exist(names: set[str]) -> None:
    for rule in alerts():
        expression = re.sub(r"\{.*?\}|\bby \(.*?\)", "", rule["expr"])
        used = set(re.findall(r"\b(?:unexpired|process)_\w+|\bup\b", expression))
        assert used, rule["alert"]
        assert used <= names | {"up"}, rule["alert"]


def test_the_documentation_lists_every_metric(names: set[str]) -> None:
    table = PAGE.partition("## Metrics")[2].partition("## Logs")[0]
    listed = set(re.findall(r"`((?:unexpired|process)_\w+)`", table))
    # The last one belongs to the server that runs the application, which is not in this test.
    exposed = {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}
    assert listed == exposed | {"unexpired_connections"}


def test_every_alert_waits_has_a_severity_and_points_to_its_section() -> None:
    titles = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {title.lower().replace(" ", "-") for title in titles}
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())
    for rule in alerts():
        assert re.fullmatch(r"\d+m", rule["for"]), rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        address, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert address.endswith("/how-to/operate.html"), rule["alert"]
        assert anchor in anchors, rule["alert"]


def test_promtool_accepts_the_alerts() -> None:
    done = run(found("promtool"), "check", "rules", DEPLOY / "alerts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(alerts())} rules found" in done.stdout
