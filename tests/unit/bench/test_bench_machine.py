"""What the benchmarks read from /proc, and how they share out the cores."""

import os
import time

from bench import machine


def test_a_stat_line_is_read_past_a_name_with_spaces_and_brackets() -> None:
    line = "12 (a (b) c) S 7 12 12 0 -1 4194304 97 0 0 0 150 50 9 9 20 0 1 0 2 3 4 5"
    stat = machine.parse_stat(line)
    assert stat.parent == 7
    assert stat.cpu_seconds == 200 / machine.TICKS_PER_SECOND


def test_idle_and_waiting_time_is_not_busy_but_stolen_time_is() -> None:
    line = "cpu  100 10 200 99999 88888 1 2 7 0 0"
    assert machine.parse_busy(line) == 320 / machine.TICKS_PER_SECOND


def test_the_server_and_the_rest_get_different_cores() -> None:
    found = machine.cores([3, 1, 2])
    assert found.server == {1}
    assert found.others == {2}
    assert found.apart


def test_a_single_core_is_shared_and_said_to_be() -> None:
    found = machine.cores([5])
    assert found.server == found.others == {5}
    assert not found.apart


def test_pinning_ends_with_its_block() -> None:
    before = os.sched_getaffinity(0)
    with machine.pinned(frozenset({min(before)})):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_the_time_that_this_process_spends_is_counted() -> None:
    before = machine.cpu_seconds(os.getpid())
    spent = time.process_time() + 0.1
    while time.process_time() < spent:
        pass
    assert machine.cpu_seconds(os.getpid()) - before >= 0.05


def test_a_process_that_is_gone_has_spent_nothing() -> None:
    assert machine.cpu_seconds(2**22 + 1) == 0.0
