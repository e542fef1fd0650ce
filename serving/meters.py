"""What the routes measure."""

from serving.registry import Registry, counters, histograms


class Meters:
    """Each metric is bound when it is first needed, then kept."""

    def __init__(self, registry: Registry) -> None:
        self.gauge = registry.gauge
        self.requests = counters(registry, "requests_total", "route", "source")
        self.request_seconds = histograms(registry, "request_seconds", "route")
        self.segment_seconds = histograms(registry, "segment_seconds", "segment")
        self.answer_age = histograms(registry, "answer_age_seconds", "kind")
        self.budget_exceeded = counters(registry, "budget_exceeded_total", "segment")
        self.events = counters(registry, "events_total", "kind", "outcome")
        self.invalid = counters(registry, "answer_invalid_total", "reason")
        self._problems = counters(registry, "problems_total", "route", "status")
        self._shed = counters(registry, "events_shed_total", "class")
        self._spooled = counters(registry, "spool_events_total", "outcome")
        self._damaged = counters(registry, "redis_keys_damaged_total", "key")

    def damaged(self, key: str) -> None:
        """Count a value of Redis that could not be read, other than an answer."""
        self._damaged(key).inc()

    def refused(self, route: str, status: int) -> None:
        """Count a problem document."""
        self._problems(route, str(int(status))).inc()

    def kept(self, kind: str, outcome: str, count: int) -> None:
        """Count events that the outbox did not confirm, by where they went."""
        self.events(kind, outcome).inc(count)

    def uncopied(self, count: int) -> None:
        """Count events of the outbox of which no copy is kept, for want of room."""
        self._spooled("uncopied").inc(count)

    def shed(self, kind: str, count: int) -> None:
        """Count events that nothing took, and that were refused therefore."""
        self._shed(kind).inc(count)
