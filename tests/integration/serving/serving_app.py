"""A serving process for tests and benchmarks: the real request path over a real Redis, with the
catalogue, the sessions and the keys in memory or in a file instead of AWS.

    python -m tests.integration.serving.serving_app PORT REDIS_URL JWKS_URL SPOOL [CATALOGUE_TITLES]

Its budgets are those in the variable BUDGETS.
"""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from adapters.msgpack_wire import encode_event
from adapters.prometheus_metrics import Metrics
from adapters.redis_hot_users import decode_features
from adapters.redis_sessions import decode_copy
from adapters.spool_writing import SpoolWriter
from config import answers, budgets
from config.budgets import Budgets
from config.settings import Settings
from domain.catalogue import Catalogue, Title
from domain.errors import Transient
from domain.features import GroupRecord, UserFeatures
from domain.ports import FeatureBatch, Given
from domain.recommendations import RecommendationRequest, Recommended
from domain.sessions import Session, Turn
from serving.chat import Classify
from serving.main import serve
from serving.parts import Parts
from serving.questions import QuestionClassifier
from tests import unhurried

log = logging.getLogger(__name__)

MAX_SPOOL_BYTES = 64 * 1024 * 1024
BUDGETS = "SERVING_TEST_BUDGETS"
ISSUER, AUDIENCE = "https://issuer.test", "mangaassist"
CATALOGUE_VERSION = "1"


class MemoryCatalogue:
    def __init__(self, titles: int) -> None:
        self._titles = titles

    def version(self) -> str | None:
        return CATALOGUE_VERSION

    def load(self) -> Catalogue:
        titles = (
            Title(f"t{n}", f"Title {n}", popularity=n, genres=("Action",))
            for n in range(self._titles)
        )
        return Catalogue(titles, CATALOGUE_VERSION)

    def publish(self, catalogue: Catalogue) -> bool:
        return False


class MemorySessions:
    def add_turns(self, session_id: str, owner: str, turns: object) -> Session:
        raise NotImplementedError

    def summarise(self, session: Session) -> Session | None:
        raise NotImplementedError

    def reword(self, session: Session) -> Session | None:
        raise NotImplementedError

    def retract(self, given: Given, note: str) -> Session | None:
        raise NotImplementedError

    def get(self, session_id: str, owner: str) -> Session | None:
        if session_id == "in-table" and owner == "alice":
            return Session(session_id, owner, {"e": Turn("e", "m", "q?", "a", 1.0)})
        return None


class MemoryUsers:
    """DynamoDB, which knows alice alone."""

    def get(self, user_id: str) -> UserFeatures | None:
        record = GroupRecord(1.0, {"favourite_genres": "Action"})
        return UserFeatures(user_id, {"user-profile": record}) if user_id == "alice" else None


class EmptyStore:
    def read(self, user_ids: Sequence[str], groups: Sequence[str]) -> FeatureBatch:
        return FeatureBatch({}, {})


class FirstTitles:
    """A model that recommends the same to everybody."""

    def recommend(self, request: RecommendationRequest, seconds: float) -> Sequence[Recommended]:
        return [Recommended(f"t{n}", 1.0 / (n + 1)) for n in range(request.limit)]


def build_classifier(catalogue: Catalogue) -> Classify:
    return QuestionClassifier(catalogue, answers.declared().patterns).classify


def send_nowhere(events: Sequence[bytes]) -> None:
    raise Transient(f"there is no SQS here for {len(events)} events")


def log_connections(event: str, _arguments: object) -> None:
    """Say when anything but the event loop, which has its own way, opens a connection."""
    if event == "socket.connect":
        log.warning("a socket was connected")


def budgets_told() -> Budgets:
    """The budgets of this process; where they are not the declared ones, Redis has time as well."""
    told = msgspec.json.decode(os.environ[BUDGETS], type=Budgets)
    if told != budgets.declared():
        unhurried.stores()
    return told


def parts_of(port: str, redis_url: str, jwks_url: str, spool: str, titles: int = 20) -> Parts:
    return Parts(
        settings=Settings(
            redis_url=redis_url,
            port=int(port),
            jwks_url=jwks_url,
            token_issuer=ISSUER,
            token_audience=AUDIENCE,
            allowed_origins="https://shop.test",
        ),
        budgets=budgets_told(),
        catalogue=MemoryCatalogue(titles),
        sessions=MemorySessions(),
        users=cast("Any", MemoryUsers()),
        features=cast("Any", EmptyStore()),
        recommender=FirstTitles(),
        decode_features=decode_features,
        metrics=Metrics(),
        encode_event=encode_event,
        decode_session=decode_copy,
        build_classifier=build_classifier,
        spool=SpoolWriter(Path(spool), max_bytes=MAX_SPOOL_BYTES),
        send_events=send_nowhere,
    )


def main() -> None:
    sys.addaudithook(log_connections)
    port, redis_url, jwks_url, spool, *rest = sys.argv[1:]
    logging.basicConfig(level="INFO")
    serve(parts_of(port, redis_url, jwks_url, spool, *map(int, rest)))


if __name__ == "__main__":
    main()
