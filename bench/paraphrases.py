"""How often a cached answer goes to a question that asks something else, and how often it is found.

Pairs of questions that people judged to ask the same or not: the first one is cached, the second is
asked. Needs `paraphrase_pairs.jsonl.gz` among the development data.
"""

import gzip
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from adapters.ngram_embeddings import NgramEmbeddings
from bench import machine
from bench.environments import python_with
from bench.processes import DidNotStartError, Processes
from bench.report import Claim, Result, Table
from config import response_cache
from domain.response_cache import normalised
from domain.similarity import Compared, Sense, likeness
from serving.similar_questions import rules_of

REPOSITORY = Path(__file__).parent.parent
SHARED = Path(os.environ.get("MANGAASSIST_SHARED", REPOSITORY.parent / "shared")) / "data"
PAIRS = "paraphrase_pairs.jsonl.gz"
MAX_FALSE_HITS = 0.01
GPTCACHE = ("gptcache==0.1.44", "faiss-cpu>=1.15", "sqlalchemy>=2.0")
GPTCACHE_THRESHOLDS = (0.8, 0.95, 0.99)
"""Its default, and two that let less through."""
GPTCACHE_SECONDS = 1800

Hit = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions, and whether people judged that they ask the same."""

    a: str
    b: str
    is_same: bool
    source: str


@dataclass(frozen=True, slots=True)
class Score:
    """What a cache did with the pairs of one source."""

    cache: str
    source: str
    different: int
    false_hits: int
    same: int
    hits: int

    @property
    def false_hit_rate(self) -> float:
        """The part of the questions that ask something else and got the cached answer."""
        return self.false_hits / self.different if self.different else 0.0

    @property
    def hit_rate(self) -> float:
        """The part of the questions that ask the same and got it."""
        return self.hits / self.same if self.same else 0.0

    def cells(self) -> list[str]:
        """The score as a row."""
        lower, upper = Compared(self.different, self.false_hits).interval()
        return [
            f"{self.cache} · {self.source}",
            f"{self.false_hits} of {self.different:,}",
            f"{self.false_hit_rate:.2%}" if self.different else "–",
            f"{lower:.2%}–{upper:.2%}" if self.different else "–",
            f"{self.hits} of {self.same:,}",
            f"{self.hit_rate:.2%}",
        ]


def run(sample: int) -> Result:
    """Ask every pair of ours, and a sample of them of GPTCache as well."""
    description = machine.describe({"gptcache": "0.1.44"})
    path = SHARED / PAIRS
    if not path.exists():
        raise DidNotStartError(f"{path} is not here")
    pairs, mislabelled = judged(path)
    ours = {"exact wording": same_wording, "similarity switch": similar()}
    scores = [each for name, hit in ours.items() for each in scored(name, pairs, hit)]
    some = pairs[:: max(1, len(pairs) // sample)]
    beside = [*scored("similarity switch", some, ours["similarity switch"]), *gptcache(some)]
    return summarise(scores, beside, mislabelled, description)


def judged(path: Path) -> tuple[list[Pair], int]:
    """The judged pairs, and how many were left out for differing in white space alone.

    Those are judged different although nobody could answer them differently.
    """
    kept, mislabelled = [], 0
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["is_duplicate"] is None:
                continue
            pair = Pair(row["a"], row["b"], bool(row["is_duplicate"]), row["source"])
            if not pair.is_same and "".join(pair.a.split()) == "".join(pair.b.split()):
                mislabelled += 1
            else:
                kept.append(pair)
    return kept, mislabelled


def same_wording(a: str, b: str) -> bool:
    """Whether the exact cache takes the two for one question."""
    return normalised(a) == normalised(b)


def similar() -> Hit:
    """Whether the similarity switch does, at its declared threshold."""
    table = response_cache.declared().similarity
    rules, embeddings = rules_of(table), NgramEmbeddings(table.threshold, table.dimensions)

    def hit(a: str, b: str) -> bool:
        sense = Sense.of(a, rules)
        if not sense.says_enough or sense != Sense.of(b, rules):
            return False
        return likeness(*embeddings.vectors([a, b])) >= table.threshold

    return hit


def scored(name: str, pairs: Sequence[Pair], hit: Hit) -> list[Score]:
    """How a cache does, over all pairs and by source."""
    return counted(name, pairs, [hit(pair.a, pair.b) for pair in pairs])


def counted(name: str, pairs: Sequence[Pair], hits: Sequence[bool]) -> list[Score]:
    """The scores of these hits, all sources first."""
    by_source: dict[str, list[tuple[Pair, bool]]] = {"all": []}
    for pair, hit in zip(pairs, hits, strict=True):
        by_source["all"].append((pair, hit))
        by_source.setdefault(pair.source, []).append((pair, hit))
    return [_score(name, source, rows) for source, rows in by_source.items()]


def _score(name: str, source: str, rows: Sequence[tuple[Pair, bool]]) -> Score:
    same = [hit for pair, hit in rows if pair.is_same]
    different = [hit for pair, hit in rows if not pair.is_same]
    return Score(name, source, len(different), sum(different), len(same), sum(same))


def gptcache(pairs: Sequence[Pair]) -> list[Score]:
    """GPTCache over the same vectors; raises DidNotStartError."""
    rows = list(_gptcache_hits(pairs))
    return [
        score
        for at, threshold in enumerate(GPTCACHE_THRESHOLDS)
        for score in counted(f"GPTCache at {threshold}", pairs, [row[at] for row in rows])
        if score.source in {"all", "pawsx"}
    ]


def _gptcache_hits(pairs: Sequence[Pair]) -> Iterator[Sequence[bool]]:
    python = python_with("gptcache", GPTCACHE)
    dimensions = str(response_cache.declared().similarity.dimensions)
    with Processes() as processes:
        done = subprocess.run(
            [
                python, Path(__file__).parent / "baselines" / "gptcache_pairs.py",
                processes.directory, dimensions, *map(str, GPTCACHE_THRESHOLDS),
            ],
            input="".join(json.dumps({"a": pair.a, "b": pair.b}) + "\n" for pair in pairs),
            capture_output=True,
            text=True,
            timeout=GPTCACHE_SECONDS,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
            cwd=processes.directory,
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise DidNotStartError(f"GPTCache failed:\n{done.stderr[-2000:]}")
    yield from (json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))


def summarise(
    scores: Sequence[Score],
    beside: Sequence[Score],
    mislabelled: int,
    description: machine.Description,
) -> Result:
    """The tables and the claims."""
    columns = ("", "false hits", "rate", "95% interval", "hits", "rate")
    shown = [score for score in beside if score.source in {"all", "pawsx"}]
    named: Mapping[tuple[str, str], Score] = {(one.cache, one.source): one for one in scores}
    wrong = {name: named[name, "all"].false_hit_rate for name, _ in named}
    claims = [
        Claim("false-hit rate of the exact cache", wrong["exact wording"], 0.0, False),
        Claim("of the similarity switch", wrong["similarity switch"], MAX_FALSE_HITS, False),
    ]
    if ("similarity switch", "pawsx") in named:
        hard = named["similarity switch", "pawsx"].false_hit_rate
        claims.append(Claim("on hard negatives (PAWS-X) alone", hard, MAX_FALSE_HITS, False))
    return Result(
        "paraphrases",
        description,
        [
            Table("All judged pairs", columns, [score.cells() for score in scores]),
            Table(
                "A sample of them, on the same vectors", columns, [score.cells() for score in shown]
            ),
        ],
        claims,
        [
            (
                "A false hit is a question that people judged to ask something else, and that is "
                "given the cached answer; a hit is one that they judged to ask the same."
            ),
            (
                f"{mislabelled} pairs that are judged different are left out: they differ in white "
                "space alone."
            ),
            (
                "Similar questions are compared with each other here; the product compares them "
                "with its reviewed set only, and ships with the switch off."
            ),
        ],
        [asdict(score) for score in (*scores, *beside)],
    )
