"""`mangaassist features sync` and `check`: the work of the workers' tasks, done here and now."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from adapters.connection import connect
from adapters.prometheus_metrics import Metrics
from cli import output, progress
from cli.bookmarks import FileBookmarks
from cli.failures import FAILED, Failure
from cli.target import Target, aim
from config import features
from domain.errors import MangaAssistError
from domain.ports import Ports, Written
from tasks.comparing import Compared, Skew, compare
from tasks.sweeping import Sweep
from tasks.syncing import Synced, sync

SHOWN_USERS = 100


@dataclass(slots=True)
class Total:
    """What became of everybody, in bounded memory."""

    users: int = 0
    merged: int = 0
    """The users of whom the store has something that could be merged."""
    records: Counter[Written] = field(default_factory=Counter)
    failed: int = 0
    quarantined: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    """Why, of the first who failed or had a record kept back."""

    def add(self, user_ids: Sequence[str], synced: Synced) -> None:
        """Add what became of some."""
        self.users += len(user_ids)
        self.merged += len(synced.merged)
        self.records += synced.written()
        self.failed += len(synced.failed)
        self.quarantined += len(synced.quarantined)
        errors: dict[str, MangaAssistError] = {**synced.quarantined, **synced.failed}
        for user_id, error in errors.items():
            if len(self.reasons) < SHOWN_USERS:
                self.reasons[user_id] = str(error)

    def document(self) -> dict[str, object]:
        """As JSON."""
        counts = {each.name.lower(): self.records[each] for each in Written}
        return {
            "users": self.users,
            "merged": self.merged,
            "records": counts,
            "failed": self.failed,
            "quarantined": self.quarantined,
            "reasons": self.reasons,
        }


def sync_users(
    user_ids: Sequence[str], data_dir: Path | None, *, rate: float | None, as_json: bool
) -> None:
    """Sync these users; raises Failure where one is not as it should be."""
    ports = ports_of(aim(data_dir), rate)
    total = Total()
    total.add(user_ids, sync(user_ids, list(features.declared().groups), ports))
    _tell(total, as_json=as_json)


def sync_all(data_dir: Path | None, *, rate: float | None, restart: bool, as_json: bool) -> None:
    """Sync everybody from where the last call stopped; raises Failure where somebody failed."""
    target = aim(data_dir)
    bookmarks = bookmarks_of(target)
    name = f"features-sync-{target.settings.users_table}"
    if restart:
        bookmarks.remove(name)
    sweep = Sweep(ports_of(target, rate), features.declared(), bookmarks, name)
    place, total = sweep.place(), Total()
    if place.users or place.after:
        output.warn(f"going on with {place.group}, where the last call stopped")
    try:
        with progress.shown("users") as advance:
            for step in sweep.steps():
                total.add(step.user_ids, step.synced)
                if advance:
                    advance(total.users, None)
    except (KeyboardInterrupt, MangaAssistError):
        done = output.number(total.users, "user")
        output.warn(f"stopped after {done}; the same command goes on from there")
        raise
    _tell(total, as_json=as_json)


def check(users: int | None, data_dir: Path | None, *, rate: float | None, as_json: bool) -> None:
    """Compare some users; raises Failure where something differs that was not repaired."""
    table = features.declared()
    if users is not None:
        table = msgspec.structs.replace(
            table, check=msgspec.structs.replace(table.check, users=users)
        )
    found = compare(ports_of(aim(data_dir), rate), table)
    tell_compared(found, as_json=as_json)
    _complain(found)


def tell_compared(found: Compared, *, as_json: bool) -> None:
    """Say what was compared and repaired."""
    skew = {f"{group} {kind}": count for (group, kind), count in sorted(found.skew.items())}
    if as_json:
        output.document(
            {
                "users": found.users,
                "records": found.records,
                "unread": found.unread,
                "skew": skew,
                "repaired": found.repaired,
                "held": found.held,
                "failed": found.failed,
            }
        )
    elif not found.users:
        output.line("nobody has merged features: there is nothing to compare")
    else:
        compared = output.number(found.users, "user"), output.number(found.records, "record")
        output.line(f"{' with '.join(compared)} compared")
        for what, count in skew.items():
            output.line(f"{what}: {count}")
        output.line(f"{found.repaired} repaired")


def ports_of(target: Target, rate: float | None) -> Ports:
    """The ports of a command, which asks the store as often as `rate`, or its share, allows."""
    share = features.declared().quotas.cli_per_second
    return connect(target.settings, Metrics(), reads_per_second=rate or share)


def bookmarks_of(target: Target) -> FileBookmarks:
    """Where commands of this deployment keep their places."""
    stack = target.stack
    return FileBookmarks(stack.directory.state if stack else target.settings.home)


def _tell(total: Total, *, as_json: bool) -> None:
    if as_json:
        output.document(total.document())
    else:
        counts = ", ".join(f"{total.records[it]} {it.name.lower()}" for it in Written)
        users = f"{output.number(total.users, 'user')} looked up, {total.merged} merged"
        output.line(f"{users}; records: {counts}".replace("_", " "))
    if total.reasons:
        for user_id, reason in total.reasons.items():
            output.warn(f"{user_id}: {reason}")
        raise Failure(
            f"{output.number(total.failed, 'user')} failed, {total.quarantined} kept back", FAILED
        )


def _complain(found: Compared) -> None:
    odd = sum(
        count for (_, kind), count in found.skew.items() if kind in {Skew.AHEAD, Skew.DIFFERS}
    )
    faults = [
        *([f"{found.held} are gone from the store and left alone"] if found.held else []),
        *([f"{odd} are not as in the store, but not older"] if odd else []),
        *([f"{output.number(found.unread, 'user')} not read"] if found.unread else []),
        *([f"{output.number(found.failed, 'user')} not repaired"] if found.failed else []),
    ]
    if faults:
        raise Failure("; ".join(faults) + ": see docs/runbooks/features.md", FAILED)
