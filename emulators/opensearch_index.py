"""One index of an emulated OpenSearch: documents by its mapping, and the queries over them.

Strict where the server is: an unknown field, a vector of another length or an unknown query is an
error. Scores are BM25 for words and 1 / (1 + d²) for vectors, filters are applied before neighbours
are chosen.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

from emulators.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

JAPANESE = re.compile("[ぁ-ヿ㐀-䶿一-鿿豈-﫿]+")
WORD = re.compile(r"[a-z0-9]+|[ぁ-ヿ㐀-䶿一-鿿豈-﫿]+")
K1, B = 1.2, 0.75

Document = dict[str, Any]
Scores = dict[int, float]


class Index:
    """Made of the body of a create call."""

    def __init__(self, body: Document) -> None:
        mappings = body.get("mappings", {})
        self._fields: dict[str, Document] = mappings.get("properties", {})
        self._is_strict = mappings.get("dynamic") == "strict"
        self._documents: list[Document] = []
        self._queries: dict[str, Callable[[Document], Scores]] = {
            "match_all": lambda _: dict.fromkeys(range(len(self._documents)), 1.0),
            "term": self._term,
            "range": self._range,
            "constant_score": self._constant_score,
            "terms": self._terms,
            "match": self._match,
            "multi_match": self._multi_match,
            "knn": self._knn,
            "bool": self._bool,
        }

    def __len__(self) -> int:
        return len(self._documents)

    def add(self, document: Document) -> None:
        """Index a document; raises ApiError for one that the mapping does not allow."""
        for name, value in document.items():
            field = self._fields.get(name)
            if field is None and self._is_strict:
                raise ApiError("strict_dynamic_mapping_exception", f"[{name}] is not allowed")
            if field and field["type"] == "knn_vector" and len(value) != field["dimension"]:
                raise ApiError("mapper_parsing_exception", f"vector of {len(value)} dimensions")
        self._documents.append(document)

    def search(self, body: Document) -> list[Document]:
        """The hits of a search, best first."""
        scores = self._scores(body["query"])
        order = [next(iter(rule.items())) for rule in body.get("sort", [{"_score": {}}])]
        ranked = sorted(
            scores.items(),
            key=lambda scored: (*(self._sort_value(scored, *rule) for rule in order), scored[0]),
        )
        is_scored = any(name == "_score" for name, _ in order)
        wanted = body.get("_source")
        return [
            {
                "_id": str(number),
                "_score": score if is_scored else None,
                "_source": {
                    name: value
                    for name, value in self._documents[number].items()
                    if wanted is None or name in wanted
                },
            }
            for number, score in ranked[: body.get("size", 10)]
        ]

    def _scores(self, query: Document) -> Scores:
        if len(query) != 1:
            raise ApiError("parsing_exception", "a query has exactly one name")
        name, body = next(iter(query.items()))
        if name not in self._queries:
            raise ApiError("parsing_exception", f"unknown query [{name}]")
        return self._queries[name](body)

    def _term(self, body: Document) -> Scores:
        return self._terms({name: [value] for name, value in body.items()})

    def _terms(self, body: Document) -> Scores:
        name, wanted = next(iter(body.items()))
        self._require(name, "keyword", "boolean")
        return {
            number: 1.0
            for number, document in enumerate(self._documents)
            if any(value in wanted for value in _listed(document.get(name)))
        }

    def _range(self, body: Document) -> Scores:
        name, bounds = next(iter(body.items()))
        self._require(name, "integer", "short")
        if not bounds.keys() <= {"gte", "lte"}:
            raise ApiError("parsing_exception", f"[range] does not support {sorted(bounds)} here")
        low, high = bounds.get("gte", -math.inf), bounds.get("lte", math.inf)
        return {
            number: 1.0
            for number, document in enumerate(self._documents)
            if document.get(name) is not None and low <= document[name] <= high
        }

    def _constant_score(self, body: Document) -> Scores:
        return dict.fromkeys(self._scores(body["filter"]), float(body.get("boost", 1.0)))

    def _match(self, body: Document) -> Scores:
        name, value = next(iter(body.items()))
        text = value["query"] if isinstance(value, dict) else value
        return self._by_words(name, _tokens(text))

    def _multi_match(self, body: Document) -> Scores:
        best: Scores = {}
        for field in body["fields"]:
            name, _, boost = field.partition("^")
            for number, score in self._by_words(name, _tokens(body["query"])).items():
                best[number] = max(best.get(number, 0.0), score * float(boost or 1))
        return best

    def _by_words(self, name: str, words: list[str]) -> Scores:
        self._require(name, "text")
        counted = [Counter(_tokens(document.get(name) or "")) for document in self._documents]
        mean = sum(counts.total() for counts in counted) / max(len(counted), 1) or 1.0
        scores: Scores = {}
        for word in dict.fromkeys(words):
            having = sum(1 for counts in counted if word in counts)
            rarity = math.log(1 + (len(counted) - having + 0.5) / (having + 0.5))
            for number, counts in enumerate(counted):
                if word in counts:
                    length = K1 * (1 - B + B * counts.total() / mean)
                    score = rarity * counts[word] * (K1 + 1) / (counts[word] + length)
                    scores[number] = scores.get(number, 0.0) + score
        return scores

    def _knn(self, body: Document) -> Scores:
        name, query = next(iter(body.items()))
        self._require(name, "knn_vector")
        if len(query["vector"]) != self._fields[name]["dimension"]:
            raise ApiError("search_phase_execution_exception", "Query vector has invalid dimension")
        allowed = self._scores(query["filter"]) if "filter" in query else None
        scores = {
            number: 1 / (1 + math.dist(document[name], query["vector"]) ** 2)
            for number, document in enumerate(self._documents)
            if name in document and (allowed is None or number in allowed)
        }
        nearest = sorted(scores, key=lambda number: -scores[number])[: query["k"]]
        return {number: scores[number] for number in nearest}

    def _bool(self, body: Document) -> Scores:
        scores = dict.fromkeys(range(len(self._documents)), 0.0)
        for clause in body.get("filter", []):
            allowed = self._scores(clause)
            scores = {number: score for number, score in scores.items() if number in allowed}
        for clause in body.get("must_not", []):
            unwanted = self._scores(clause)
            scores = {number: score for number, score in scores.items() if number not in unwanted}
        for clause in body.get("must", []):
            found = self._scores(clause)
            scores = {
                number: score + found[number] for number, score in scores.items() if number in found
            }
        if "should" in body:
            scores = self._with_should(scores, body)
        unknown = body.keys() - {"filter", "must", "must_not", "should", "minimum_should_match"}
        if unknown:
            raise ApiError("parsing_exception", f"[bool] does not support {sorted(unknown)} here")
        return scores

    def _with_should(self, scores: Scores, body: Document) -> Scores:
        """Only with a minimum, which is another one beside a filter than without."""
        if "minimum_should_match" not in body:
            raise ApiError("parsing_exception", "[should] needs a minimum here")
        found = [self._scores(clause) for clause in body["should"]]
        return {
            number: score + sum(each.get(number, 0.0) for each in found)
            for number, score in scores.items()
            if sum(number in each for each in found) >= body["minimum_should_match"]
        }

    def _sort_value(self, scored: tuple[int, float], name: str, rule: Document) -> float:
        """What a hit is sorted by, the smallest first; what lacks the field comes last."""
        number, score = scored
        if name == "_score":
            return score if rule.get("order") == "asc" else -score
        if name in self._fields:
            self._require(name, "integer", "short")
        elif "unmapped_type" not in rule:
            raise ApiError("search_phase_execution_exception", f"no mapping found for [{name}]")
        value = self._documents[number].get(name)
        if value is None:
            return math.inf
        return -float(value) if rule.get("order") == "desc" else float(value)

    def _require(self, name: str, *types: str) -> None:
        field = self._fields.get(name, {})
        if field.get("type") not in types or field.get("index") is False:
            raise ApiError("search_phase_execution_exception", f"cannot search on field [{name}]")


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _tokens(text: str) -> list[str]:
    """As the `cjk` analyzer makes them: words, and pairs of Japanese letters."""
    tokens: list[str] = []
    for word in WORD.findall(unicodedata.normalize("NFKC", text).lower()):
        if JAPANESE.match(word) and len(word) > 1:
            tokens += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            tokens.append(word)
    return tokens
