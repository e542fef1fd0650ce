"""Injected misbehaviour: rules that say which calls are slowed, refused, cut, held or half done.

Pure choice: `Faults.plan` says what befalls a call, the dispatcher makes it so.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

import msgspec

from emulators.wire import Delivery, Streaming

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal[
    "latency",
    "http500",
    "http503",
    "throttle",
    "expired_token",
    "access_denied",
    "model_error",
    "model_not_ready",
    "dependency",
    "reset",
    "hang",
    "lose_reply",
    "partial",
    "entry_error",
    "duplicate",
    "reorder",
    "model_timeout",
    "pace",
    "stream_error",
    "stream_cut",
    "says",
]
ERRORS = frozenset(
    {
        "http500",
        "http503",
        "throttle",
        "expired_token",
        "access_denied",
        "model_error",
        "model_not_ready",
        "dependency",
    }
)
"""The last three are of a SageMaker endpoint; another service answers them as http500."""
STREAMED = frozenset({"pace", "stream_error", "stream_cut", "says"})


class FaultRule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """`service`, `action` and `resource` (queue, group, endpoint, model) are glob patterns.

    A rule lets its first `skip` matches pass, then strikes with `probability`, at most `times`
    times. With `per_second` it lets so many a second pass and strikes the others: a quota.
    `fraction` is for partial and entry_error (of a feature store's batch), `window` for reorder,
    `ms` ± `jitter_ms` for latency and, as the time to the first token, for pace, whose other tokens
    come every `token_ms`. A stream_error (named `code`) or stream_cut comes `after` so many tokens.
    A chat model `says` this `text` whatever it is asked, and however long it is.
    """

    kind: Kind
    service: str = "*"
    action: str = "*"
    resource: str = "*"
    probability: float = 1.0
    times: int | None = None
    per_second: float | None = None
    skip: int = 0
    ms: float = 0.0
    jitter_ms: float = 0.0
    distribution: Literal["normal", "uniform", "lognormal"] = "uniform"
    fraction: float = 0.5
    window: int = 100
    token_ms: float = 0.0
    after: int = 1
    code: str = ""
    text: str = ""
    matched: int = 0
    struck: int = 0
    passed: float = 0.0
    passed_at: float = 0.0

    def __post_init__(self) -> None:
        for name in ("probability", "fraction"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be from 0 to 1")
        for name in ("skip", "ms", "jitter_ms", "window", "token_ms", "after"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.per_second is not None and self.per_second <= 0:
            raise ValueError("per_second must be above 0")

    def concerns(self, service: str, action: str, resource: str) -> bool:
        return (
            fnmatchcase(service, self.service)
            and fnmatchcase(action, self.action)
            and fnmatchcase(resource, self.resource)
        )


@dataclass(slots=True)
class Plan:
    """What befalls one call. `error`, `reset` and `lose_reply` exclude each other."""

    delay_seconds: float = 0.0
    hang: bool = False
    error: str = ""
    reset: bool = False
    lose_reply: bool = False
    partial: float = 0.0
    entry_errors: float = 0.0
    delivery: Delivery = field(default_factory=Delivery)
    streaming: Streaming = field(default_factory=Streaming)


class Faults:
    def __init__(
        self, rng: random.Random | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rules: list[FaultRule] = []
        self.rng = rng or random.Random()
        self._clock = clock

    def plan(self, service: str, action: str, resource: str) -> Plan | None:
        """None when nothing is to happen: the usual case must cost nothing."""
        if not self.rules:
            return None
        struck = [
            rule
            for rule in self.rules
            if rule.concerns(service, action, resource) and self._strikes(rule)
        ]
        if not struck:
            return None
        plan = Plan()
        for rule in struck:
            self._add(plan, rule)
        return plan

    def _strikes(self, rule: FaultRule) -> bool:
        rule.matched += 1
        if rule.matched <= rule.skip or (rule.times is not None and rule.struck >= rule.times):
            return False
        if rule.per_second is not None and self._within(rule, rule.per_second):
            return False
        # these two take their probability per message, not per call
        chosen = rule.kind == "duplicate" or self.rng.random() < rule.probability
        rule.struck += chosen
        return chosen

    def _within(self, rule: FaultRule, per_second: float) -> bool:
        """Whether a call is within a rate; what passed drains away, a second's worth at most."""
        now = self._clock()
        drained = (now - rule.passed_at) * per_second
        rule.passed, rule.passed_at = max(0.0, rule.passed - drained), now
        if rule.passed + 1 > max(1.0, per_second):
            return False
        rule.passed += 1
        return True

    def _add(self, plan: Plan, rule: FaultRule) -> None:
        if rule.kind == "latency":
            plan.delay_seconds += self._latency(rule)
        elif rule.kind == "hang":
            plan.hang = True
        elif rule.kind == "partial":
            plan.partial = max(plan.partial, rule.fraction)
        elif rule.kind == "entry_error":
            plan.entry_errors = max(plan.entry_errors, rule.fraction)
        elif rule.kind == "duplicate":
            plan.delivery.duplicate_probability = rule.probability
        elif rule.kind == "reorder":
            plan.delivery.shuffle_window = rule.window
        elif rule.kind in STREAMED:
            self._stream(plan.streaming, rule)
        else:
            self._end(plan, rule)

    def _stream(self, streaming: Streaming, rule: FaultRule) -> None:
        if rule.kind == "pace":
            streaming.first_seconds += self._latency(rule)
            streaming.token_seconds += rule.token_ms / 1000.0
        elif rule.kind == "says":
            streaming.says = rule.text
        else:
            streaming.breaks_after = rule.after
            streaming.is_cut = rule.kind == "stream_cut"
            streaming.error = rule.code

    @staticmethod
    def _end(plan: Plan, rule: FaultRule) -> None:
        if plan.error or plan.reset or plan.lose_reply:
            return
        if rule.kind == "reset":
            plan.reset = True
        elif rule.kind == "lose_reply":
            plan.lose_reply = True
        else:
            plan.error = rule.kind

    def _latency(self, rule: FaultRule) -> float:
        if rule.distribution == "normal":
            ms = self.rng.gauss(rule.ms, rule.jitter_ms)
        elif rule.distribution == "lognormal":
            ms = rule.ms + rule.jitter_ms * self.rng.lognormvariate(0.0, 1.0)
        else:
            ms = self.rng.uniform(rule.ms - rule.jitter_ms, rule.ms + rule.jitter_ms)
        return max(0.0, ms) / 1000.0
