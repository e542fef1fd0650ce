"""What conversations over connections that stay measure."""

from serving.registry import Registry, counters, histograms


class ConversationMeters:
    """The connections, their messages, and what is read ahead of them."""

    def __init__(self, registry: Registry) -> None:
        self.connections = registry.gauge("ws_connections")
        self.messages = counters(registry, "ws_messages_total", "outcome")
        self.closed = counters(registry, "ws_closed_total", "reason")
        self.prefetched = counters(registry, "prefetch_total", "branch", "outcome")
        self.prefetch_seconds = histograms(registry, "prefetch_seconds", "branch")
