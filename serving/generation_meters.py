"""What making answers with the model measures; the segments are the routes' too."""

from serving.meters import Meters
from serving.registry import Registry, counters, histograms


class GenerationMeters:
    """The model's calls and tokens, and the rungs of the ladder."""

    def __init__(self, registry: Registry, meters: Meters) -> None:
        self.segment_seconds = meters.segment_seconds
        self.budget_exceeded = meters.budget_exceeded
        self.calls = counters(registry, "model_calls_total", "size", "outcome")
        self.tokens = counters(registry, "model_tokens_total", "size", "direction")
        self.first_token = histograms(registry, "first_token_seconds", "size")
        self.rungs = counters(registry, "ladder_answers_total", "rung")
