"""Metrics: what is declared can be measured and is exposed, also by forked children."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from adapters.metric_cells import HistogramCell
from adapters.prometheus_metrics import Metrics, UndeclaredMetric
from config.metrics import PREFIX, declared


def lines(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


def test_a_counter_adds_up_however_it_is_reached() -> None:
    metrics = Metrics()
    metrics.count("duplicates_total", 2, kind="a")
    metrics.counter("duplicates_total", kind="a").inc()
    assert 'mangaassist_duplicates_total{kind="a"} 3.0' in lines(metrics)


def test_a_gauge_shows_what_was_set_last() -> None:
    metrics = Metrics()
    metrics.set("published_answers", 5, kind="genre")
    metrics.gauge("published_answers", kind="genre").set(7)
    assert 'mangaassist_published_answers{kind="genre"} 7.0' in lines(metrics)


def test_a_histogram_counts_values_at_or_below_each_bound() -> None:
    cell = HistogramCell([1, 2.5])
    for value in (0.5, 1, 1.5, 2.5, 99):
        cell.observe(value)
    assert cell.buckets() == [("1.0", 2), ("2.5", 4), ("+Inf", 5)]


def test_a_histogram_is_exposed_with_sum_and_count() -> None:
    metrics = Metrics()
    metrics.histogram("request_seconds", route="chat").observe(0.25)
    metrics.observe("request_seconds", 0.5, route="chat")
    shown = lines(metrics)
    assert 'mangaassist_request_seconds_sum{route="chat"} 0.75' in shown
    assert 'mangaassist_request_seconds_count{route="chat"} 2.0' in shown
    assert 'mangaassist_request_seconds_bucket{le="+Inf",route="chat"} 2.0' in shown


def test_every_declared_metric_is_described_and_an_untouched_one_has_no_value() -> None:
    shown = lines(Metrics())
    for name, row in declared().metrics.items():
        assert f"# HELP {PREFIX}{name} {row.help}" in shown
    assert not [line for line in shown if line.startswith(PREFIX)]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("no_such_total", {}),
        ("duplicates_total", {}),
        ("duplicates_total", {"kind": "a", "user": "b"}),
        ("published_answers", {"kind": "a"}),
    ],
)
def test_what_is_not_declared_cannot_be_counted(name: str, labels: dict[str, str]) -> None:
    with pytest.raises(UndeclaredMetric):
        Metrics().count(name, 1, **labels)


def test_threads_lose_no_count() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(2000):
            metrics.count("task_retries_total", task="t")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 'mangaassist_task_retries_total{task="t"} 8000.0' in lines(metrics)


def test_gauges_can_be_set_when_somebody_looks() -> None:
    metrics = Metrics()
    metrics.before_scrape(lambda: metrics.set("outbox_depth", 4))
    assert "mangaassist_outbox_depth 4.0" in lines(metrics)


_CHILDREN = """
import os
from adapters.prometheus_metrics import Metrics
metrics = Metrics()
metrics.count("duplicates_total", 1, kind="a")
for number in range(3):
    pid = os.fork()
    if pid == 0:
        metrics.count("duplicates_total", 10, kind="a")
        metrics.observe("precompute_seconds", 0.5, kind="a")
        metrics.set("published_answers", number, kind="a")
        os._exit(0)
    os.waitpid(pid, 0)
    metrics.bury(pid)
pid = os.fork()
if pid == 0:
    metrics.set("queue_oldest_seconds", 50, queue="q")
    os._exit(0)
os.waitpid(pid, 0)
metrics.set("queue_oldest_seconds", 0, queue="q")
print(metrics.render().decode())
"""


def test_a_parent_shows_the_sum_of_its_forked_children(tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", _CHILDREN],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert 'mangaassist_duplicates_total{kind="a"} 31.0' in shown
    assert 'mangaassist_precompute_seconds_count{kind="a"} 3.0' in shown
    assert 'mangaassist_published_answers{kind="a"} 2.0' in shown
    assert 'mangaassist_queue_oldest_seconds{queue="q"} 0.0' in shown
