"""GET /v1/recommendations: what suits the user of the token; for anybody else what is popular."""

import time
from urllib.parse import parse_qsl

from domain.events import Locale, RecommendationServed
from domain.questions import Question, QuestionKind
from serving.desk import Desk
from serving.exchange import Exchange, headers_of, new_id
from serving.personal import PersonalAnswers
from serving.problems import unprocessable
from serving.tokens import Gate
from serving.tracing import UNTRACED, Tracing

ROUTE = "recommendations"
PAGE = "~"
"""Of a user's page as a session: it is in no id of a session, so that nobody can claim the page."""
MAX_QUERY_BYTES = 1024


class RecommendationsRoute:
    """The hot route of recommendations."""

    name = ROUTE
    method = b"GET"
    body_limit = 0

    def __init__(
        self, desk: Desk, gate: Gate, answers: PersonalAnswers, tracing: Tracing = UNTRACED
    ) -> None:
        self._desk = desk
        self._gate = gate
        self._answers = answers
        self._tracing = tracing

    def handle(self, exchange: Exchange) -> None:
        """Answer with the user's recommendation; raises Problem."""
        started = time.perf_counter()
        headers = headers_of(exchange)
        traceparent = self._tracing.begin(exchange, ROUTE, headers, started)
        caller = self._gate.caller(headers.get(b"authorization"))
        authorised = time.perf_counter()
        limit, locale = self._asked(exchange.query, headers.get(b"accept-language", b""))
        producer = self._desk.producer
        event = RecommendationServed(
            event_id=new_id(),
            occurred_at=self._desk.clock(),
            producer=producer.name,
            seq=producer.next(),
            traceparent=traceparent,
            owner=caller.user,
            locale=locale,
        )
        question = Question(QuestionKind.RECOMMENDATION, "", locale)
        turn = self._answers.open(self._desk, exchange, question, event)
        turn.route, turn.limit = ROUTE, limit
        turn.started, turn.asked_at = started, time.perf_counter()
        turn.before = (("auth", authorised - started),)
        turn.serve(PAGE + caller.user)

    def _asked(self, query: bytes, language: bytes) -> tuple[int, Locale]:
        if not query:
            return self._answers.limit, _preferred(language)
        if len(query) > MAX_QUERY_BYTES:
            raise unprocessable("the query is too long")
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        fields = dict(pairs)
        if len(fields) != len(pairs) or not fields.keys() <= {"limit", "locale"}:
            raise unprocessable("the query takes limit and locale, each once")
        return self._limit(fields.get("limit")), _locale(fields.get("locale"), language)

    def _limit(self, text: str | None) -> int:
        most = self._answers.limit
        if text is None:
            return most
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= most):
            raise unprocessable(f"limit is a number from 1 to {most}")
        return int(text)


def _locale(text: str | None, language: bytes) -> Locale:
    if text is None:
        return _preferred(language)
    if text == "ja":
        return "ja"
    if text == "en":
        return "en"
    raise unprocessable("locale is ja or en")


def _preferred(language: bytes) -> Locale:
    """The store's own language, unless the client prefers English."""
    return "en" if language[:2].lower() == b"en" else "ja"
