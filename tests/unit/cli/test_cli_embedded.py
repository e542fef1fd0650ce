"""The plan of an embedded stack. Ports are real: they are reserved, but nothing listens."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import ports
from cli.data_dir import DataDir
from cli.embedded import OWN_SERVICES, Stack, plan
from cli.failures import Failure
from config import endpoints, queues

pytestmark = pytest.mark.enable_socket
GROUPS = list(queues.declared().groups)
OUTER = {"AWS_PROFILE": "production", "MANGAASSIST_TODAY": "2026-01-01", "PATH": "/bin"}
CONTRACT_SECONDS = 15.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    planned = plan(DataDir(tmp_path), ports.reserve_any(), GROUPS, OUTER, pseudonym_key="made")
    yield planned
    planned.ports.release()


def test_every_group_of_workers_runs(stack: Stack) -> None:
    names = [spec.name for spec in (*stack.foundations, *stack.processes)]
    assert sorted(names) == sorted(
        ["aws-moto", "aws-sqs", "model", "redis", "serving", "relay", "beat"]
        + [f"worker-{group}" for group in GROUPS]
    )


def test_each_process_has_a_port_of_its_own(stack: Stack) -> None:
    specs = (*stack.foundations, *stack.processes)
    assert len({spec.port for spec in specs}) == len(specs)
    for spec in stack.processes[1:]:
        assert spec.environment["MANGAASSIST_METRICS_PORT"] == str(spec.port)


def test_settings_of_the_caller_pass_and_his_aws_account_does_not(stack: Stack) -> None:
    for spec in (*stack.foundations, *stack.processes):
        assert spec.environment["MANGAASSIST_TODAY"] == "2026-01-01"
        assert "AWS_PROFILE" not in spec.environment
        assert spec.environment["AWS_ENDPOINT_URL_SQS"].startswith("http://127.0.0.1:")


def test_the_key_of_pseudonyms_is_passed_on_unless_the_caller_has_one(
    stack: Stack, tmp_path: Path
) -> None:
    name = "MANGAASSIST_PSEUDONYM_KEY"
    assert {spec.environment[name] for spec in stack.processes} == {"made"}
    own = plan(DataDir(tmp_path), ports.reserve_any(), GROUPS, {name: "own"}, pseudonym_key="made")
    own.ports.release()
    assert {spec.environment[name] for spec in own.processes} == {"own"}


def test_what_sends_work_stops_before_what_does_it(stack: Stack) -> None:
    stages = {spec.name: spec.stop_stage for spec in (*stack.foundations, *stack.processes)}
    order = ("serving", "relay", "worker-interactive", "aws-sqs", "redis")
    found = [stages[name] for name in order]
    assert found == sorted(set(found))


def test_even_the_most_stubborn_stack_stops_in_time(stack: Stack) -> None:
    longest: dict[int, float] = {}
    for spec in (*stack.foundations, *stack.processes):
        longest[spec.stop_stage] = max(longest.get(spec.stop_stage, 0.0), spec.stop_seconds)
    assert sum(longest.values()) < CONTRACT_SECONDS


def test_a_redis_of_somebody_elses_is_used_and_not_started(tmp_path: Path) -> None:
    url = "redis://cache.test:6379/0"
    http = ports.reserve_any()
    outer = {"MANGAASSIST_REDIS_URL": url}
    planned = plan(DataDir(tmp_path), http, GROUPS, outer, pseudonym_key="made")
    assert "redis" not in [spec.name for spec in planned.foundations]
    assert planned.endpoints({}).redis == url
    planned.ports.release()


def test_a_reserved_port_is_refused_to_nobody_who_is_told_of_it() -> None:
    port = ports.reserve_any()
    child = ports.reserve(port.number)
    assert child.number == port.number
    child.release()
    port.release()


def test_what_another_stack_holds_for_a_child_that_is_down_is_not_given_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = ports.reserve_any()
    monkeypatch.setattr(ports, "_range", lambda: (port.number, port.number))
    with pytest.raises(Failure, match="no free port"):
        ports.reserve_any()
    port.release()
    ports.reserve_any().release()


def test_a_port_where_somebody_listens_is_refused() -> None:
    with socket.create_server((ports.HOST, 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(Failure, match=f"port {number} .* in use"):
            ports.reserve(number)


def test_the_way_to_every_service_that_is_emulated_by_ourselves_is_watched() -> None:
    assert set(OWN_SERVICES) <= endpoints.declared().services.keys()
