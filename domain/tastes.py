"""What a model may be told of a user's features: those that are declared for it, few and short."""

from collections.abc import Mapping, Sequence

from domain.features import UserFeatures

MAX_VALUES, MAX_CHARS = 5, 40

Tastes = Mapping[str, Sequence[str]]
"""The values of each feature."""


def tastes(features: UserFeatures, wanted: Sequence[str], now: float) -> Tastes:
    """The wanted features that may be read at `now`, each as the values that its commas part."""
    live = features.live(now).values()
    return {
        name: listed
        for name in wanted
        for values in live
        if (listed := _listed(values.get(name, "")))
    }


def _listed(text: str) -> Sequence[str]:
    values = dict.fromkeys(filter(None, map(str.strip, text.split(","))))
    return [value for value in values if len(value) <= MAX_CHARS and value.isprintable()][
        :MAX_VALUES
    ]
