"""Makes what a serving process needs in AWS: `python -m bench.prepare TITLES`.

Provisions the declared tables and queues and publishes a catalogue of so many made-up titles, so
that questions are read against as many names as in production.
"""

import random
import sys

from adapters.connection import connect
from adapters.prometheus_metrics import Metrics
from adapters.provision import provision
from config import queues, settings
from domain.catalogue import Catalogue, Title

_SYLLABLES = [
    consonant + vowel for consonant in ("k", "s", "t", "n", "h", "m", "r", "y") for vowel in "aiueo"
]
_KANA = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワ"
_GENRES = ("Action", "Adventure", "Comedy", "Drama", "Fantasy", "Romance", "Sci-Fi", "Sports")
_DEMOGRAPHICS = ("Shonen", "Shojo", "Seinen", "Josei")


def catalogue(titles: int) -> Catalogue:
    """Always the same catalogue for the same number."""
    chance = random.Random(titles)
    return Catalogue(_title(number, chance) for number in range(titles))


def _title(number: int, chance: random.Random) -> Title:
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(2, 4))) for _ in range(3)]
    return Title(
        id=f"bench-{number}",
        title=" ".join(words).title(),
        title_ja="".join(chance.choices(_KANA, k=chance.randint(5, 12))),
        genres=tuple(chance.sample(_GENRES, 2)),
        demographic=(chance.choice(_DEMOGRAPHICS),),
        published_from=f"{chance.randint(1980, 2024)}-0{chance.randint(1, 9)}-11",
        popularity=max(1, 1_000_000 // (number + 1)),
    )


def main() -> None:
    """Provision and publish."""
    of = settings.read()
    provision(of, queues.declared())
    connect(of, Metrics()).catalogue.publish(catalogue(int(sys.argv[1])))


if __name__ == "__main__":
    main()
