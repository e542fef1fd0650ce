"""The request path's metrics, bound once so that a request looks no name up."""

from functools import cache, partial
from typing import Protocol


class Histogram(Protocol):
    """A histogram whose labels are bound."""

    def observe(self, value: float) -> None:
        """Add a value."""
        ...


class Counter(Protocol):
    """A counter whose labels are bound."""

    def inc(self, amount: float = 1) -> None:
        """Add to it."""
        ...


class Gauge(Protocol):
    """A gauge whose labels are bound."""

    def set(self, value: float) -> None:
        """Set it."""
        ...


class Registry(Protocol):
    """Where bound metrics come from; a name that is not declared raises."""

    def counter(self, name: str, **labels: str) -> Counter:
        """A counter."""
        ...

    def histogram(self, name: str, **labels: str) -> Histogram:
        """A histogram."""
        ...

    def gauge(self, name: str, **labels: str) -> Gauge:
        """A gauge."""
        ...


class Meters:
    """What the routes measure. Each metric is bound when it is first needed, then kept."""

    def __init__(self, registry: Registry) -> None:
        self.gauge = registry.gauge

        @cache
        def requests(route: str, source: str) -> Counter:
            return registry.counter("requests_total", route=route, source=source)

        @cache
        def request_seconds(route: str) -> Histogram:
            return registry.histogram("request_seconds", route=route)

        @cache
        def segment_seconds(segment: str) -> Histogram:
            return registry.histogram("segment_seconds", segment=segment)

        @cache
        def answer_age(kind: str) -> Histogram:
            return registry.histogram("answer_age_seconds", kind=kind)

        @cache
        def budget_exceeded(segment: str) -> Counter:
            return registry.counter("budget_exceeded_total", segment=segment)

        @cache
        def events(kind: str, outcome: str) -> Counter:
            return registry.counter("events_total", kind=kind, outcome=outcome)

        @cache
        def problems(route: str, status: str) -> Counter:
            return registry.counter("problems_total", route=route, status=status)

        @cache
        def shed(kind: str) -> Counter:
            return registry.counter("events_shed_total", **{"class": kind})

        @cache
        def invalid(reason: str) -> Counter:
            return registry.counter("answer_invalid_total", reason=reason)

        self.requests = requests
        self.request_seconds = request_seconds
        self.segment_seconds = segment_seconds
        self.answer_age = answer_age
        self.budget_exceeded = budget_exceeded
        self.events = events
        self._problems = problems
        self._shed = shed
        self._spooled = partial(registry.counter, "spool_events_total")
        self.invalid = invalid
        self._damaged = partial(registry.counter, "redis_keys_damaged_total")

    def damaged(self, key: str) -> None:
        """Count a value of Redis that could not be read, other than an answer."""
        self._damaged(key=key).inc()

    def refused(self, route: str, status: int) -> None:
        """Count a problem document."""
        self._problems(route, str(int(status))).inc()

    def kept(self, kind: str, outcome: str, count: int) -> None:
        """Count events that the outbox did not confirm, by where they went."""
        self.events(kind, outcome).inc(count)

    def uncopied(self, count: int) -> None:
        """Count events of the outbox of which no copy is kept, for want of room."""
        self._spooled(outcome="uncopied").inc(count)

    def shed(self, kind: str, count: int) -> None:
        """Count events that nothing took, and that were refused therefore."""
        self._shed(kind).inc(count)


class ConversationMeters:
    """What conversations over connections that stay measure."""

    def __init__(self, registry: Registry) -> None:
        self.connections = registry.gauge("ws_connections")

        @cache
        def messages(outcome: str) -> Counter:
            return registry.counter("ws_messages_total", outcome=outcome)

        @cache
        def closed(reason: str) -> Counter:
            return registry.counter("ws_closed_total", reason=reason)

        @cache
        def prefetched(branch: str, outcome: str) -> Counter:
            return registry.counter("prefetch_total", branch=branch, outcome=outcome)

        @cache
        def prefetch_seconds(branch: str) -> Histogram:
            return registry.histogram("prefetch_seconds", branch=branch)

        self.messages = messages
        self.closed = closed
        self.prefetched = prefetched
        self.prefetch_seconds = prefetch_seconds


class GenerationMeters:
    """What making answers with the model measures; the segments are the routes' too."""

    def __init__(self, registry: Registry, meters: Meters) -> None:
        self.segment_seconds = meters.segment_seconds
        self.budget_exceeded = meters.budget_exceeded

        @cache
        def calls(size: str, outcome: str) -> Counter:
            return registry.counter("model_calls_total", size=size, outcome=outcome)

        @cache
        def tokens(size: str, direction: str) -> Counter:
            return registry.counter("model_tokens_total", size=size, direction=direction)

        @cache
        def first_token(size: str) -> Histogram:
            return registry.histogram("first_token_seconds", size=size)

        @cache
        def rungs(rung: str) -> Counter:
            return registry.counter("ladder_answers_total", rung=rung)

        self.calls = calls
        self.tokens = tokens
        self.first_token = first_token
        self.rungs = rungs


class ResponseMeters:
    """What the response cache measures, bound in the same way."""

    def __init__(self, registry: Registry) -> None:
        @cache
        def responses(outcome: str) -> Counter:
            return registry.counter("responses_total", outcome=outcome)

        @cache
        def refreshes(outcome: str) -> Counter:
            return registry.counter("response_refreshes_total", outcome=outcome)

        @cache
        def invalid(reason: str) -> Counter:
            return registry.counter("answer_invalid_total", reason=reason)

        self.responses = responses
        self.refreshes = refreshes
        self.invalid = invalid


class SimilarityMeters:
    """What the matching of similar questions measures, bound in the same way."""

    def __init__(self, registry: Registry) -> None:
        @cache
        def answers(outcome: str) -> Counter:
            return registry.counter("similar_answers_total", outcome=outcome)

        @cache
        def compared(outcome: str) -> Counter:
            return registry.counter("similar_compared_total", outcome=outcome)

        self.answers = answers
        self.compared = compared
        self._bounds = [
            registry.gauge("similar_false_hit_rate", bound=bound)
            for bound in ("point", "lower", "upper")
        ]
        self._open = registry.gauge("similar_open")

    def rate(self, *point_lower_upper: float, is_open: bool) -> None:
        """Show the false-hit rate with its interval, and whether matching goes on."""
        for gauge, value in zip(self._bounds, point_lower_upper, strict=True):
            gauge.set(value)
        self._open.set(float(is_open))
