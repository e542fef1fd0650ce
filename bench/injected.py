"""The latencies that the comparison of request flows injects, in milliseconds, by segment.

`BEFORE` and `AFTER` are the figures of the flow that this project set out to beat: the chain as it
was, and as its authors improved it.
"""

BEFORE = {
    "edge": 12.0,
    "routing": 5.0,
    "classify": 3.0,
    "cache check": 3.0,
    "session": 12.0,
    "search": 150.0,
    "prompt": 5.0,
    "model": 800.0,
    "guardrails": 40.0,
    "cache write": 5.0,
    "session update": 10.0,
    "format": 5.0,
    "send": 10.0,
}
AFTER = {
    "edge": 8.0,
    "routing": 3.0,
    "classify": 0.0,
    "cache check": 1.5,
    "session": 0.0,
    "search": 65.0,
    "prompt": 3.0,
    "model": 680.0,
    "guardrails": 0.0,
    "cache write": 0.0,
    "session update": 0.0,
    "format": 0.0,
    "send": 0.0,
}
"""Their session is read ahead, and what follows the model is done after the answer."""

AROUND = ("edge",)
"""What no code of a request path can change: the same is added to nobody's figures here."""
WAITED_FOR = ("search", "model")
