"""What the path of a question comes to, segment by segment, and the mix as its clients see it.

Pure: knows no process and no clock.
"""

from collections.abc import Iterable, Mapping, Sequence

from bench.injected import AFTER, AROUND, BEFORE, WAITED_FOR
from bench.report import Table, duration, median
from bench.visitors import Heard

OURS_FOR = {
    "routing": "auth", "classify": "classify", "cache check": "redis", "session": "context",
    "search": "search", "prompt": "prompt", "model": "model",
}  # fmt: skip
"""Which segment of ours does what one of the chain does; what is left over is ours of `send`."""
AFTERWARDS = ("guardrails", "cache write", "session update")


def own_segments(made: Sequence[Heard]) -> dict[str, float]:
    """Our median seconds under the names of the chain."""
    found = {
        name: median([one.segments.get(own, 0.0) for one in made]) for name, own in OURS_FOR.items()
    }
    left = [one.segments["total"] - sum(one.segments.get(s, 0.0) for s in OURS_FOR.values())
            for one in made]  # fmt: skip
    return {**found, "send": median(left)}


def rest_of(segments: Mapping[str, float]) -> float:
    """What the chain took beside search and model."""
    return sum(v for name, v in segments.items() if name not in (*AROUND, *WAITED_FOR))


def segments_table(
    theirs: Mapping[str, float],
    our_own: Mapping[str, float],
    rest: Sequence[float],
    others: Sequence[float],
) -> Table:
    """What each segment of a custom question takes, beside what was said of it."""
    rows = [
        [
            name,
            f"{BEFORE[name]:g} ms",
            duration(theirs[name]),
            f"{AFTER[name]:g} ms",
            "afterwards" if name in AFTERWARDS else duration(our_own.get(name, 0.0)),
        ]
        for name in BEFORE
        if name not in AROUND
    ]
    inner = [name for name in BEFORE if name not in AROUND]
    outer = [name for name in inner if name not in WAITED_FOR]
    rows += [
        [
            "all of it, p50",
            f"{sum(BEFORE[name] for name in inner):g} ms",
            duration(sum(theirs.values()) - sum(theirs[name] for name in AROUND)),
            f"{sum(AFTER[name] for name in inner):g} ms",
            duration(sum(our_own.values())),
        ],
        [
            "all but search and model, p50",
            f"{sum(BEFORE[name] for name in outer):g} ms",
            duration(at(rest, 0.5)),
            f"{sum(AFTER[name] for name in outer):g} ms",
            duration(at(others, 0.5)),
        ],
        [
            "all but search and model, p95",
            "",
            duration(at(rest, 0.95)),
            "",
            duration(at(others, 0.95)),
        ],
    ]
    columns = ("segment, p50", "said, before", "chain", "said, after", "ours")
    return Table("A custom question that nobody asked before", columns, rows)


def mix_table(
    chain: Sequence[Mapping[str, float]], heard: Sequence[Heard], made: Sequence[Heard]
) -> Table:
    """What all questions take, and where their answers come from."""
    totals = [sum(one.values()) - sum(one[name] for name in AROUND) for one in chain]
    asked = sum("model" in one for one in chain) / len(chain)
    firsts = [one.first_seconds for one in made]
    sources = sorted({one.source for one in heard})
    shares = ", ".join(
        f"{source} {100 * sum(one.source == source for one in heard) / len(heard):.0f}%"
        for source in sources
    )

    def row(name: str, seconds: Sequence[float], more: Iterable[str]) -> list[str]:
        return [name, duration(at(seconds, 0.5)), duration(at(seconds, 0.95)), *more]

    whole = [
        sum(one.values()) - sum(one[name] for name in AROUND) for one in chain if "model" in one
    ]
    rows = [
        row(
            "chain", totals,
            [duration(at(whole, 0.5)), duration(at(whole, 0.95)),
             f"model {100 * asked:.0f}%, cache {100 * (1 - asked):.0f}%"],
        ),
        row(
            "ours", [one.seen_seconds for one in heard],
            [duration(at(firsts, 0.5)), duration(at(firsts, 0.95)), shares],
        ),
    ]  # fmt: skip
    columns = ("", "p50", "p95", "first token of a custom one, p50", "p95", "served from")
    return Table("The whole mix, as the client sees it", columns, rows)


def at(values: Iterable[float], share: float) -> float:
    """The value below which this share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
