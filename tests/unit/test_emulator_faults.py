"""Which calls the emulators' fault rules strike, and how."""

from __future__ import annotations

import random

import msgspec
import pytest

from emulators.faults import FaultRule, Faults


def faults(*rules: FaultRule) -> Faults:
    made = Faults(random.Random(3))
    made.rules.extend(rules)
    return made


def test_without_rules_nothing_is_planned() -> None:
    assert faults().plan("sqs", "SendMessage", "q") is None


def test_a_rule_strikes_only_what_its_patterns_match() -> None:
    made = faults(FaultRule(kind="http500", service="sqs", action="Send*", resource="jobs-*"))
    assert made.plan("sqs", "ReceiveMessage", "jobs-a") is None
    assert made.plan("sqs", "SendMessage", "other") is None
    assert made.plan("featurestore", "SendMessage", "jobs-a") is None
    plan = made.plan("sqs", "SendMessageBatch", "jobs-a")
    assert plan is not None
    assert plan.error == "http500"


def test_times_and_skip_choose_the_matches_that_are_struck() -> None:
    made = faults(FaultRule(kind="reset", skip=1, times=2))
    struck = [made.plan("sqs", "SendMessage", "q") is not None for _ in range(5)]
    assert struck == [False, True, True, False, False]


def test_probability_is_a_share_of_the_calls() -> None:
    made = faults(FaultRule(kind="throttle", probability=0.25))
    struck = sum(made.plan("sqs", "SendMessage", "q") is not None for _ in range(4000))
    assert 800 < struck < 1200


def test_the_first_ending_rule_wins_and_latency_adds_up() -> None:
    made = faults(
        FaultRule(kind="latency", ms=10),
        FaultRule(kind="latency", ms=5),
        FaultRule(kind="lose_reply"),
        FaultRule(kind="http503"),
    )
    plan = made.plan("sqs", "SendMessage", "q")
    assert plan is not None
    assert plan.delay_seconds == pytest.approx(0.015)
    assert plan.lose_reply
    assert plan.error == ""


@pytest.mark.parametrize("distribution", ["uniform", "normal", "lognormal"])
def test_latency_is_never_negative(distribution: str) -> None:
    text = msgspec.json.encode(
        {"kind": "latency", "ms": 1, "jitter_ms": 5, "distribution": distribution}
    )
    made = faults(msgspec.json.decode(text, type=FaultRule))
    plans = [made.plan("sqs", "SendMessage", "q") for _ in range(200)]
    delays = [plan.delay_seconds for plan in plans if plan is not None]
    assert min(delays) >= 0
    assert len(set(delays)) > 10


@pytest.mark.parametrize(
    "rule",
    [{"kind": "earthquake"}, {"kind": "reset", "probability": 2}, {"kind": "reset", "tims": 1}, {}],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(rule, FaultRule)


def test_a_quota_strikes_what_comes_too_fast_and_lets_the_rest_pass() -> None:
    now = 100.0
    made = Faults(random.Random(3), lambda: now)
    made.rules.append(FaultRule(kind="throttle", per_second=2))
    struck = [made.plan("featurestore", "BatchGetRecord", "") is not None for _ in range(4)]
    assert struck == [False, False, True, True]
    now += 0.5
    struck = [made.plan("featurestore", "BatchGetRecord", "") is not None for _ in range(2)]
    assert struck == [False, True]


def test_a_quota_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="per_second"):
        FaultRule(kind="throttle", per_second=0)
