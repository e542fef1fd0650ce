"""How long the classifier takes for one question: `python -m bench.classify`.

Prints median and p99 in microseconds, of the processor time of this thread: what other processes
do meanwhile is not the classifier's. Each set is run several times; the best round counts.
"""

import gzip
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from adapters.jsonl_catalogue import read_catalogue
from config import answers
from serving.questions import QuestionClassifier

REPOSITORY = Path(__file__).parent.parent
SHARED = Path(os.environ.get("MANGAASSIST_SHARED", REPOSITORY.parent / "shared")) / "data"
SAMPLE = REPOSITORY / "config" / "sample_catalogue.jsonl"
ROUNDS = 5
HOSTILE = (
    "a" * 4000,
    "の" * 4000,
    "の" * 120,
    "one piece " * 12,
    "新刊" * 60,
    "the latest volume of " * 5,
    "を教えてください" * 14,
    "人気 新刊 少年漫画 " * 11,
    "shonen new popular manga latest " * 3,
    "ｱﾞ" * 60,
    "🍣" * 4000,
    "\u0301" * 120,
    "(" * 4000,
)


def main() -> None:
    """Print one line per set of questions."""
    catalogue_file = SHARED / "manga_catalogue.jsonl.gz"
    catalogue_file = catalogue_file if catalogue_file.exists() else SAMPLE
    catalogue = read_catalogue(catalogue_file).catalogue
    started = time.perf_counter()
    classifier = QuestionClassifier(catalogue, answers.load().patterns, remembered=0)
    built = time.perf_counter() - started
    print(f"{len(catalogue)} titles, built in {built:.2f} s")
    print(f"{'set':<22}{'questions':>10}{'median µs':>11}{'p99 µs':>9}{'max µs':>9}")
    for name, questions in _sets():
        median, p99, worst = _measure(classifier, questions)
        print(f"{name:<22}{len(questions):>10}{median:>11.1f}{p99:>9.1f}{worst:>9.1f}")


def _sets() -> list[tuple[str, Sequence[str]]]:
    data = REPOSITORY / "tests" / "data"
    found: list[tuple[str, Sequence[str]]] = [
        (path.stem, [row["question"] for row in map(json.loads, path.open(encoding="utf-8"))])
        for path in sorted(data.glob("questions*.jsonl"))
    ]
    for name in ("queries_en", "queries_ja"):
        path = SHARED / f"{name}.jsonl.gz"
        if path.exists():
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                found.append((name, [json.loads(line)["text"] for line in lines]))
    return [*found, ("hostile", HOSTILE * 20)]


def _measure(
    classifier: QuestionClassifier, questions: Sequence[str]
) -> tuple[float, float, float]:
    """Median, p99 and maximum of the round with the lowest median."""
    return min(_round(classifier, questions) for _ in range(ROUNDS))


def _round(classifier: QuestionClassifier, questions: Sequence[str]) -> tuple[float, float, float]:
    clock = time.thread_time_ns
    took = []
    for question in questions:
        started = clock()
        classifier.classify(question)
        took.append(clock() - started)
    took.sort()
    return took[len(took) // 2] / 1e3, took[len(took) * 99 // 100] / 1e3, took[-1] / 1e3


if __name__ == "__main__":
    main()
