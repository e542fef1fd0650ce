"""Guards over the whole repository: what one table says, every other place says too."""

import importlib
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config import metrics, queues

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "adapters",
    "cli",
    "config",
    "domain",
    "emulators",
    "recommender",
    "serving",
    "tasks",
    "web",
    "workers",
)


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_is_imported_from_this_repository(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / room


def test_every_room_is_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    marked = [path.parent for room in ROOMS for path in (ROOT / room).rglob("__init__.py")]
    there = sorted(".".join(path.relative_to(ROOT).parts) for path in marked)
    assert sorted(project["tool"]["setuptools"]["packages"]) == there
    assert set(there) >= set(ROOMS)


def test_compose_runs_a_worker_for_every_group() -> None:
    compose = _compose()["services"]
    assert isinstance(compose, dict)
    commands = [service.get("command") for service in compose.values()]
    started = {command[1] for command in commands if command and command[0] == "worker"}
    assert started == set(queues.declared().groups)


def test_prometheus_scrapes_every_group_at_its_declared_port() -> None:
    scraped = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
    for name, group in queues.declared().groups.items():
        assert f"worker-{name}:{group.metrics_port}" in scraped


def test_prometheus_scrapes_relay_and_beat_at_their_declared_ports() -> None:
    scraped = _yaml("deploy/prometheus/prometheus.yml")
    jobs = {job["job_name"]: job for job in scraped["scrape_configs"]}
    ports = metrics.declared().ports
    assert jobs["relay"]["static_configs"] == [{"targets": [f"relay:{ports.relay}"]}]
    assert [found["port"] for found in jobs["beat"]["dns_sd_configs"]] == [ports.beat]


def test_no_two_processes_are_scraped_at_one_port() -> None:
    table = metrics.declared().ports
    ports = [table.relay, table.beat, *(g.metrics_port for g in queues.declared().groups.values())]
    assert len(set(ports)) == len(ports)


def test_alerts_and_runbooks_name_declared_metrics_only() -> None:
    declared = set(metrics.declared().metrics)
    texts = [ROOT / "deploy/prometheus/rules.yml", *sorted((ROOT / "docs").rglob("*.md"))]
    for path in texts:
        for name in re.findall(r"mangaassist_([a-z_]+[a-z])", path.read_text()):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in declared, f"{path.name}: {name}"


def test_what_costs_a_customer_or_an_operator_something_has_an_alert() -> None:
    groups = _yaml("deploy/prometheus/rules.yml")["groups"]
    watched = " ".join(rule["expr"] for group in groups for rule in group["rules"])
    for name in (
        "cache_write_failures_total",
        "delete_failures_total",
        "dlq_depth",
        "parked_total",
        "queue_paused",
    ):
        assert f"mangaassist_{name}" in watched, name


def test_every_alert_names_a_runbook_that_is_there() -> None:
    rules = (ROOT / "deploy/prometheus/rules.yml").read_text()
    named = re.findall(r"runbook: (\S+)", rules)
    assert len(named) == rules.count("alert:")
    for runbook in named:
        assert (ROOT / runbook).is_file(), runbook


def test_lock_files_hold_hashes_and_no_address() -> None:
    for lock in (ROOT / "requirements.lock", ROOT / "deploy/requirements.lock"):
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text


def _compose() -> dict[str, object]:
    return _yaml("docker-compose.yml")


def _yaml(path: str) -> dict[str, Any]:
    return msgspec.yaml.decode((ROOT / path).read_text(), type=dict[str, Any])


def test_no_package_is_named_twice_among_the_dependencies() -> None:
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("## Dependencies")[2]
    rows = re.findall(r"^\| ([a-z][^|]*) \|", table, re.MULTILINE)
    names = Counter(name for row in rows for name in re.findall(r"[\w-]+", row) if name != "with")
    assert names["celery"] == 1
    assert {name for name, count in names.items() if count > 1} == set()
