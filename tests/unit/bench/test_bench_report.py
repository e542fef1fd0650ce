"""How benchmark results are shown and kept."""

import json
from dataclasses import replace
from pathlib import Path

from bench import report
from bench.report import Claim, Result, Table
from tests.unit.bench.measured import MACHINE


def result() -> Result:
    return Result(
        "speed",
        MACHINE,
        [Table("Requests", ("server", "requests/s"), [["ours", "31.0k"], ["theirs", "3.50k"]])],
        [Claim("faster", 8.9, 3.5), Claim("cheaper", 3.0, 2.0, at_least=False)],
        ["A note."],
        [{"server": "ours", "requests_per_second": 31_000.0}],
    )


def test_a_claim_holds_at_its_target_in_either_direction() -> None:
    assert Claim("", 3.5, 3.5).holds
    assert not Claim("", 3.4, 3.5).holds
    assert Claim("", 2.0, 2.0, at_least=False).holds
    assert not Claim("", 2.1, 2.0, at_least=False).holds


def test_a_claim_about_nothing_measured_does_not_hold() -> None:
    assert not Claim("", report.median([]), 1.0).holds


def test_only_a_missed_promise_is_a_failure() -> None:
    assert not result().kept
    mark = Claim("as fast as nginx", 0.9, 1.0, promised=False)
    assert replace(result(), claims=[mark]).kept
    assert mark.cells()[-1] == "not yet"


def test_figures_keep_three_digits() -> None:
    shown = [report.figure(value) for value in (31_040.0, 3_500.0, 151.3, 8.876, 0.1466)]
    assert shown == ["31.0k", "3,500", "151", "8.88", "0.147"]


def test_durations_choose_their_unit() -> None:
    shown = [report.duration(seconds) for seconds in (0.000212, 0.00345, 1.5)]
    assert shown == ["212 µs", "3.45 ms", "1.50 s"]


def test_the_page_names_the_machine_and_every_missed_target() -> None:
    page = report.markdown(result())
    assert "2 cores of Some CPU" in page
    assert "kombu 5.7.0" in page
    assert "| ours | 31.0k |" in page
    assert "| cheaper | ≤ 2 | 3 | NO |" in page


def test_the_text_aligns_its_columns() -> None:
    lines = report.text(result()).splitlines()
    ours = next(line for line in lines if line.startswith("ours"))
    theirs = next(line for line in lines if line.startswith("theirs"))
    assert len(ours) == len(theirs)


def test_a_result_is_kept_as_a_page_and_as_data(tmp_path: Path) -> None:
    page = report.write(result(), tmp_path)
    assert page.read_text() == report.markdown(result())
    data = json.loads((tmp_path / "speed.json").read_text())
    assert data["samples"] == [{"server": "ours", "requests_per_second": 31_000.0}]
    assert data["machine"]["versions"] == {"kombu": "5.7.0"}
