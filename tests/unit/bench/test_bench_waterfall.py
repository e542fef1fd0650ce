"""The mix of questions, and what the figures of two request flows are made into."""

from collections import Counter

import pytest

from bench import replay, waterfall
from bench.custom_questions import Question, mix
from bench.injected import AFTER, BEFORE
from bench.report import Result
from bench.visitors import Heard
from tests.unit.bench.measured import MACHINE


def test_the_mix_has_its_shares_and_no_custom_question_twice() -> None:
    questions = mix(1000)
    kinds = Counter(question.kind for question in questions)
    assert kinds == {
        "trending": 220, "new_releases": 150, "genre": 120, "title": 80, "custom": 430,
    }  # fmt: skip
    custom = [question.message for question in questions if question.kind == "custom"]
    assert len(set(custom)) == 430
    assert mix(1000) == questions, "the same for both flows"


def heard(kind: str, source: str, *, total: float, search: float, model: float) -> Heard:
    segments = {"total": total, "search": search, "model": model, "redis": 0.002, "prompt": 0.0005}
    return Heard(kind, source, total + 0.001, 0.7, segments)


def summarised(total: float) -> Result:
    whole = {name: milliseconds / 1000 for name, milliseconds in BEFORE.items()}
    questions = [Question("custom", "a"), *[Question("trending", "b")] * 3]
    answers = [
        heard("custom", "model", total=total, search=0.065, model=0.680),
        *[heard("trending", "precomputed", total=0.002, search=0.0, model=0.0)] * 3,
    ]
    plan = waterfall.Plan(4, 1, pictures=None)
    return waterfall.summarise([whole] * 4, answers, questions, MACHINE, plan)


def test_what_is_neither_search_nor_model_is_what_is_promised() -> None:
    good, bad = summarised(0.748), summarised(0.755)
    assert good.claims[0].measured == pytest.approx(3.0)
    assert good.kept
    assert bad.claims[0].measured == pytest.approx(10.0)
    assert not bad.kept


def test_the_table_shows_both_flows_beside_what_was_said() -> None:
    rows = {row[0]: row[1:] for row in summarised(0.748).tables[0].rows}
    assert rows["search"] == ["150 ms", "150.00 ms", "65 ms", "65.00 ms"]
    assert rows["guardrails"][-1] == "afterwards"
    inner = sum(ms for name, ms in BEFORE.items() if name not in {"edge", "search", "model"})
    assert rows["all but search and model, p50"] == [
        f"{inner:g} ms", f"{inner:.2f} ms", f"{AFTER['routing'] + 1.5 + 3:g} ms", "3.00 ms",
    ]  # fmt: skip


def test_a_replay_without_answers_in_time_does_not_hold() -> None:
    sample = replay.Sample("azure", 1.0, 10, 1, 5.0, 0.1, 2.5, 0.8, 2.5, {"model": 9}, 0.001)
    result = replay.summarise([sample], MACHINE)
    assert [claim.holds for claim in result.claims] == [False, False]
    assert "model 100%" in result.tables[0].rows[0]
