"""Keeps the recommendations of users who are here: made anew when due, written when computed.

A recommendation that fails is not the job's failure: its user stays due, and the queue that these
jobs share with others must not be paused over a model.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from config import answers, recommendations, texts
from config.recommendations import Recommendations
from domain.errors import MangaAssistError, Transient
from domain.jobs import PrecomputeRecommendations, RefreshRecommendation, WriteRecommendation
from domain.personal_answers import Lifetime, store
from domain.ports import Due, Ports, Written
from domain.recommendations import Recommendation, Recommended, presentable, request_of
from tasks.performs import each, performs

STALE_SECONDS = 30.0
"""A tick that comes later has been overtaken by others."""
KEPT = frozenset({"made", "superseded"})
"""What must be made anew before it is stale, as long as the user is here."""


@performs(WriteRecommendation)
@each
def write_recommendation(job: WriteRecommendation, ports: Ports) -> None:
    """Write what the model said; a write that fails costs the next request a question to it.

    One that comes late would be stale at once, or be of somebody who was forgotten meanwhile.
    """
    if ports.clock() - job.occurred_at > answers.declared().kinds.recommendation.ttl_seconds:
        ports.metrics.count("superseded_total", kind=job.kind)
        return
    items = [Recommended(item_id, score) for item_id, score in job.items]
    found = Recommendation(job.user_id, items, job.occurred_at)
    try:
        ports.hot_users.note_seen([job.user_id])
        outcome = put(found, ports.hot_users.recent(job.user_id), ports)
        ports.recommendations.mark([job.user_id], job.occurred_at + _refresh_seconds())
    except Transient:
        ports.metrics.count("cache_write_failures_total")
        return
    ports.metrics.count("recommendations_total", outcome=outcome)


@performs(RefreshRecommendation)
def refresh_recommendation(jobs: Sequence[RefreshRecommendation], ports: Ports) -> None:
    """Have the recommendations of these users, who are here, made anew."""
    users = {job.user_id for job in jobs}
    ports.hot_users.note_seen(users)
    ports.recommendations.mark(users, ports.clock() + recommendations.declared().debounce_seconds)


@performs(PrecomputeRecommendations)
def precompute_recommendations(jobs: Sequence[PrecomputeRecommendations], ports: Ports) -> None:
    """Make those that are due anew, for as long as a run may take."""
    now = ports.clock()
    if all(job.tick is not None and now - job.tick > STALE_SECONDS for job in jobs):
        ports.metrics.count("duplicates_total", len(jobs), kind=PrecomputeRecommendations.kind)
        return
    Upkeep(ports, recommendations.declared()).run()
    ports.metrics.set("recommendations_due", ports.recommendations.count_due())


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One run over the users who are due, bounded in users and time."""

    ports: Ports
    table: Recommendations

    def run(self) -> None:
        """Take up users until nobody is due or the run is over."""
        ends_at = self.ports.clock() + self.table.run_seconds
        left = self.table.users_per_run
        with ThreadPoolExecutor(self.table.threads, "recommendations") as threads:
            while left > 0 and self.ports.clock() < ends_at:
                taken = self.ports.recommendations.take_due(
                    min(left, self.table.threads), self.table.lease_seconds
                )
                if not taken:
                    return
                left -= len(taken)
                for outcome in threads.map(self._done, taken):
                    self.ports.metrics.count("recommendations_total", outcome=outcome)

    def _done(self, due: Due) -> str:
        try:
            outcome, made_at = self._make(due.user_id)
            is_kept = outcome in KEPT and bool(self.ports.hot_users.seen([due.user_id]))
            self.ports.recommendations.settle(
                due, made_at + _refresh_seconds() if is_kept else None
            )
        except MangaAssistError:
            return "failed"  # due again when the lease is over
        return outcome

    def _make(self, user_id: str) -> tuple[str, float]:
        now = self.ports.clock()
        features, recent = self.ports.users.get(user_id), self.ports.hot_users.recent(user_id)
        request = request_of(features, recent, wanted=self.table.features, limit=_limit(), now=now)
        if request is None:
            self.ports.recommendations.remove(user_id)  # what it was made of is forgotten
            return "unknown", now
        items = self.ports.recommender.recommend(request, self.table.model_seconds)
        return put(Recommendation(user_id, items, now), recent, self.ports), now


def put(found: Recommendation, recent: Sequence[str], ports: Ports) -> str:
    """Write a recommendation as it will be sent; what came of it."""
    catalogue = ports.catalogue.load()
    rows = presentable(found.items, catalogue, set(recent), _limit())
    if not rows:
        return "unfit"
    row = answers.declared().kinds.recommendation
    lifetime = Lifetime(row.ttl_seconds, row.hard_ttl_seconds)
    stored = store(
        found.user_id,
        rows,
        texts.declared(),
        found.generated_at,
        lifetime,
        catalogue_version=catalogue.version,
    )
    written = ports.recommendations.put(found.user_id, stored)
    return "superseded" if written is Written.SUPERSEDED else "made"


def _limit() -> int:
    return answers.declared().kinds.recommendation.top_n


def _refresh_seconds() -> float:
    return answers.declared().kinds.recommendation.refresh_seconds
