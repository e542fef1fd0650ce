"""Keeping dependencies warm: together, each for itself, and seen in the checks."""

import asyncio
import logging

import pytest

from domain.errors import Transient
from serving import warming
from serving.readiness import ReadinessChecks
from serving.warming import Warming
from tests import logs
from tests.unit.serving.fakes import CountingRegistry


class Dependency:
    """Answers when it is up; counts how often it was called."""

    def __init__(self) -> None:
        self.up = True
        self.calls = 0
        self.called = asyncio.Event()

    async def warm(self) -> None:
        self.calls += 1
        self.called.set()
        if not self.up:
            raise Transient("refused")


async def test_every_dependency_is_called_and_one_that_fails_leaves_the_others() -> None:
    good, bad, registry = Dependency(), Dependency(), CountingRegistry()
    bad.up = False
    kept = Warming({"dynamodb": good.warm, "model": bad.warm}, registry)
    assert kept.state == {"dynamodb": False, "model": False}
    await kept.first()
    assert kept.state == {"dynamodb": True, "model": False}
    assert registry.sums[("dependency_warm", "dynamodb")] == 1
    assert registry.sums[("dependency_warm", "model")] == 0


async def test_one_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "FIRST_SECONDS", 0.01)

    async def hang() -> None:
        await asyncio.Event().wait()

    kept = Warming({"model": hang}, CountingRegistry())
    await kept.first()
    assert kept.state == {"model": False}


async def test_it_is_kept_warm_and_told_once_when_that_changes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(warming, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(warming, "RETRY_SECONDS", 0.0)
    model = Dependency()
    kept = Warming({"model": model.warm}, CountingRegistry())
    with caplog.at_level(logging.WARNING):
        await kept.first()
        task = asyncio.create_task(kept.keep())
        for is_up in (True, True, False, False, True):
            model.up = is_up
            model.called.clear()
            await model.called.wait()
            model.called.clear()
            await model.called.wait()
            assert kept.state == {"model": is_up}
        task.cancel()
    assert [record.getMessage() for record in logs.here(caplog)] == [
        "model: refused",
        "model: answers again",
    ]


HARD = ("redis", "catalogue", "classifier", "keys", "answers", "warm")


@pytest.mark.parametrize("missing", HARD)
def test_a_process_is_not_ready_while_one_thing_that_it_needs_is_missing(missing: str) -> None:
    there = {name: name != missing for name in HARD}
    checks = ReadinessChecks(
        redis=lambda: there["redis"],
        catalogue=lambda: there["catalogue"],
        classifier=lambda: there["classifier"],
        keys=lambda: there["keys"],
        version=lambda: "v1",
        soft={"dynamodb": True},
    )
    checks.answers, checks.warm = there["answers"], there["warm"]
    assert checks.warmable() is (missing in {"answers", "warm"})
    found = checks.read()
    assert not found.ready
    assert [name for name in HARD if not getattr(found.checks, name)] == [missing]
    there = dict.fromkeys(HARD, True)
    checks.answers = checks.warm = True
    assert checks.read().ready
    there = dict.fromkeys(HARD, False)
    assert checks.read().ready, "it goes on answering what it can"


@pytest.mark.parametrize("soft", [True, False])
def test_a_process_is_ready_without_what_it_can_do_without(soft: bool) -> None:
    checks = ReadinessChecks(
        redis=lambda: True,
        catalogue=lambda: True,
        classifier=lambda: True,
        keys=lambda: True,
        soft={"dynamodb": soft},
        version=lambda: "abc",
    )
    assert not checks.read().ready
    checks.answers = checks.warm = True
    found = checks.read()
    assert (found.ready, found.checks.soft) == (True, {"dynamodb": soft})
    assert found.catalogue == "abc"
