"""What the response cache measures."""

from serving.registry import Registry, counters


class ResponseMeters:
    """Where responses come from, and those that could not be believed."""

    def __init__(self, registry: Registry) -> None:
        self.responses = counters(registry, "responses_total", "outcome")
        self.refreshes = counters(registry, "response_refreshes_total", "outcome")
        self.invalid = counters(registry, "answer_invalid_total", "reason")
