"""Keeps the merged features of users up to date with the feature store, and compares the two."""

from collections.abc import Iterator, Mapping, Sequence

from config.features import declared
from domain.errors import MangaAssistError, PartlyFailed, Permanent
from domain.features import GroupRecord, UserFeatures, tombstone
from domain.jobs import CheckFeatures, SweepFeatures, SyncFeatures
from domain.ports import Ports
from tasks.comparing import compare
from tasks.performs import performs
from tasks.sweeping import SWEPT, Sweep
from tasks.syncing import sync

STALE_SECONDS = 300.0
"""A tick that comes later has been overtaken by others."""


@performs(SyncFeatures)
def sync_features(jobs: Sequence[SyncFeatures], ports: Ports) -> None:
    """Sync each user once, however many jobs ask for it; those that failed come again."""
    refused = {job.event_id: why for job in jobs if (why := _refusal(job)) is not None}
    wanted = [job for job in jobs if job.event_id not in refused]
    users = list(dict.fromkeys(job.user_id for job in wanted))
    reasons: dict[str, MangaAssistError] = dict(refused)
    if users:
        synced = sync(users, list(declared().groups), ports, _deletions(wanted))
        # What may still succeed goes first: a job is parked once nothing of it is left to try.
        troubled = {**synced.quarantined, **synced.failed}
        reasons |= {it.event_id: troubled[it.user_id] for it in wanted if it.user_id in troubled}
    if reasons:
        raise PartlyFailed(reasons)


@performs(SweepFeatures)
def sweep_features(jobs: Sequence[SweepFeatures], ports: Ports) -> None:
    """Go on with the sweep for a few seconds, or begin the next one, however many ask for it."""
    sweep = Sweep(ports, declared(), ports.bookmarks)
    if not _is_due(jobs, ports) or not (sweep.is_under_way or _may_begin(ports)):
        return
    end = ports.clock() + declared().sync.run_seconds
    for step in sweep.steps():
        if step.place is None:
            ports.bookmarks.put(SWEPT, repr(ports.clock()))
        if ports.clock() >= end:
            break


@performs(CheckFeatures)
def check_features(jobs: Sequence[CheckFeatures], ports: Ports) -> None:
    """Compare some users, others each time, however many jobs ask for it."""
    if _is_due(jobs, ports):
        compare(ports, declared())


def _may_begin(ports: Ports) -> bool:
    """Whether the last sweep has ended long enough ago."""
    ended = ports.bookmarks.get(SWEPT)
    return ended is None or ports.clock() - float(ended) >= declared().sync.pause_seconds


def _refusal(job: SyncFeatures) -> Permanent | None:
    if not job.user_id:
        return Permanent("nobody has no features")
    if job.group and job.group not in declared().groups:
        return Permanent("there is no such feature group")
    if job.deleted_at is not None and not job.group:
        return Permanent("it is not said what was deleted")
    return None


def _deletions(jobs: Sequence[SyncFeatures]) -> Mapping[str, Mapping[str, GroupRecord]]:
    found: dict[str, UserFeatures] = {}
    for user_id, group, record in _tombstones(jobs):
        found[user_id] = found.get(user_id, UserFeatures(user_id)).merged({group: record})
    return {user_id: features.groups for user_id, features in found.items()}


def _tombstones(jobs: Sequence[SyncFeatures]) -> Iterator[tuple[str, str, GroupRecord]]:
    kept_seconds = declared().sync.tombstone_seconds
    for job in jobs:
        if job.deleted_at is not None:
            yield job.user_id, job.group, tombstone(job.deleted_at, kept_seconds)


def _is_due(jobs: Sequence[SweepFeatures] | Sequence[CheckFeatures], ports: Ports) -> bool:
    now = ports.clock()
    if any(job.tick is None or now - job.tick <= STALE_SECONDS for job in jobs):
        return True
    ports.metrics.count("duplicates_total", len(jobs), kind=jobs[0].kind)
    return False
