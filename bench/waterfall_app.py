"""The request path with a model at Bedrock's wire and a search that takes as long as it is told.

`python -m bench.waterfall_app SPOOL SEARCH_MILLISECONDS`; all else comes from the environment.
"""

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from adapters.msgpack_wire import encode_event
from adapters.prometheus_metrics import Metrics
from adapters.redis_hot_users import decode_features
from adapters.redis_sessions import decode_copy
from adapters.spool_writing import SpoolWriter
from bench.recommending_app import SampleCatalogue, send_nowhere
from config import answers, budgets
from config.settings import read
from domain.catalogue import Catalogue
from domain.features import UserFeatures
from domain.search import Found, Search, Wanted
from domain.sessions import Session
from serving.main import model_parts, serve
from serving.parts import MIB, Parts
from serving.questions import QuestionClassifier

SESSION_SECONDS = 0.012


class SlowSearch:
    """A search that takes longer."""

    def __init__(self, search: Search, seconds: float) -> None:
        self._search = search
        self._seconds = seconds

    async def search(self, wanted: Wanted, seconds: float) -> Found:
        """What the other finds, not before the time is over."""
        ends_at = time.perf_counter() + self._seconds
        found = await self._search.search(wanted, seconds)
        await asyncio.sleep(ends_at - time.perf_counter())
        return found


class SlowSessions:
    """A table that holds nothing and takes as long as a real one."""

    def get(self, session_id: str, owner: str) -> Session | None:
        """Nothing, late."""
        time.sleep(SESSION_SECONDS)
        return None


class SlowUsers:
    """The same of users."""

    def get(self, user_id: str) -> UserFeatures | None:
        """Nothing, late."""
        time.sleep(SESSION_SECONDS)
        return None


def main() -> None:
    """Serve until a signal."""
    spool, milliseconds = sys.argv[1:]
    settings = read()
    patterns = answers.declared().patterns
    model = model_parts(settings)

    def build_search(catalogue: Catalogue) -> Search:
        return SlowSearch(model.build_search(catalogue), float(milliseconds) / 1000)

    serve(
        Parts(
            settings=settings,
            budgets=budgets.declared(),
            catalogue=SampleCatalogue(),
            sessions=cast("Any", SlowSessions()),
            users=cast("Any", SlowUsers()),
            features=cast("Any", None),  # not reached for by questions
            recommender=cast("Any", None),
            decode_features=decode_features,
            metrics=Metrics(),
            encode_event=encode_event,
            decode_session=decode_copy,
            build_classifier=lambda found: QuestionClassifier(found, patterns).classify,
            spool=SpoolWriter(Path(spool), max_bytes=64 * MIB),
            send_events=send_nowhere,
            model=replace(model, build_search=build_search),
        )
    )


if __name__ == "__main__":
    main()
