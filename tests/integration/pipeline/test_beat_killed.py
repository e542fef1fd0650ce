"""Beat is killed before and after a send: the next one sends the tick, and it has one effect."""

import signal
from typing import TYPE_CHECKING

import pytest

from adapters.connection import connect
from adapters.prometheus_metrics import Metrics
from cli.answers_refresh import precomputed_kinds
from config.failpoints import Failpoint
from config.settings import Settings
from domain.catalogue import Catalogue
from tests.samples import title

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from tests.integration.pipeline.conftest import Pipeline

    Eventually = Callable[[Callable[[], object], float, str], None]

KINDS = precomputed_kinds()
DONE = 'task_jobs_total{outcome="done",task="answers.precompute"}'
DUPLICATES = 'duplicates_total{kind="answers.precompute"}'


@pytest.mark.parametrize(
    ("point", "sent"),
    [
        pytest.param(f"{Failpoint.BEAT_BEFORE_SEND}:1", 0, marks=pytest.mark.soak),
        (f"{Failpoint.BEAT_BEFORE_SEND}:3", 2),
        (f"{Failpoint.BEAT_AFTER_SEND}:3", 3),
    ],
)
def test_a_killed_beat_costs_no_tick_and_doubles_no_effect(
    pipeline: "Pipeline", valkey: "redis.Redis", eventually: "Eventually", point: str, sent: int
) -> None:
    valkey_url = pipeline.env["MANGAASSIST_REDIS_URL"]
    ports = connect(Settings(redis_url=valkey_url), Metrics())
    known = {"genres": ("Action",), "demographic": ("Shounen",), "published_from": "2020-01-01"}
    ports.catalogue.publish(Catalogue([title(str(n), n, **known) for n in range(12)]))
    module = pipeline.still_clock()
    env = dict(pipeline.env)
    pipeline.env["MANGAASSIST_FAILPOINT"] = point
    assert pipeline.start(module).wait(90) == -signal.SIGKILL
    pipeline.env = env
    beat, worker = pipeline.start_all_healthy((module,), ("workers.worker", "precompute"))
    eventually(lambda: worker.metric(DONE) == len(KINDS) + sent, 60, "a tick is missing")
    eventually(lambda: worker.metric(DUPLICATES) >= sent, 10, "a double is not counted")
    assert worker.metric(DUPLICATES) == sent
    for kind in KINDS:
        assert valkey.zcard(f"answer_versions:{kind}") <= 1, kind
    assert ports.answers.current("trending") is not None
    assert beat.stop() == 0
    assert worker.stop() == 0
