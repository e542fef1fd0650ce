"""What the matching of similar questions measures."""

from serving.registry import Registry, counters


class SimilarityMeters:
    """The matches, and how often comparison showed them to be wrong."""

    def __init__(self, registry: Registry) -> None:
        self.answers = counters(registry, "similar_answers_total", "outcome")
        self.compared = counters(registry, "similar_compared_total", "outcome")
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
