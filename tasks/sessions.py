"""Adds turns to sessions: durably first, then in the copy that the request path reads."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from domain.errors import MangaAssistError, OwnedByAnother, PartlyFailed, Refused
from domain.jobs import UpdateSession
from domain.ports import Ports
from domain.sessions import Session, Turn
from tasks.performs import performs

THREADS = 4
"""Sessions of one pack written at once: the writes only wait for the network."""

_Key = tuple[str, str]


@performs(UpdateSession)
def update_sessions(jobs: Sequence[UpdateSession], ports: Ports) -> None:
    """Write the turns of each session at once; a stranger's turns are dropped and counted."""
    by_session = _by_session(jobs)
    written = _write(by_session, ports)
    _tell_request_path(written, ports)
    ports.hot_users.note_seen({job.owner for job in jobs})
    refused = sum(len(by_session[key]) for key, it in written.items() if isinstance(it, Refused))
    _count(ports, len(jobs), refused)
    _raise_failures(by_session, written)


def _by_session(jobs: Sequence[UpdateSession]) -> Mapping[_Key, Sequence[UpdateSession]]:
    found: dict[_Key, list[UpdateSession]] = {}
    for job in jobs:
        found.setdefault((job.session_id, job.owner), []).append(job)
    return found


def _write(
    by_session: Mapping[_Key, Sequence[UpdateSession]], ports: Ports
) -> Mapping[_Key, Session | MangaAssistError]:
    def write(key: _Key) -> Session | MangaAssistError:
        try:
            return ports.sessions.add_turns(*key, [_turn(job) for job in by_session[key]])
        except MangaAssistError as error:
            return error

    if len(by_session) == 1:
        return {key: write(key) for key in by_session}
    with ThreadPoolExecutor(min(THREADS, len(by_session))) as threads:
        return dict(zip(by_session, threads.map(write, by_session), strict=True))


def _tell_request_path(written: Mapping[_Key, Session | MangaAssistError], ports: Ports) -> None:
    copies = ports.session_copies
    copies.put([found for found in written.values() if isinstance(found, Session)])
    for (session_id, _), outcome in written.items():
        if isinstance(outcome, OwnedByAnother):
            copies.restore_owner(session_id, outcome.owner)


def _turn(job: UpdateSession) -> Turn:
    return Turn(
        event_id=job.event_id,
        message_id=job.message_id,
        question=job.question,
        answer_preview=job.answer_preview,
        at=job.occurred_at,
    )


def _count(ports: Ports, jobs: int, refused: int) -> None:
    kind = UpdateSession.kind
    ports.metrics.count("events_total", jobs - refused, kind=kind, outcome="applied")
    if refused:
        ports.metrics.count("events_total", refused, kind=kind, outcome="refused")


def _raise_failures(
    by_session: Mapping[_Key, Sequence[UpdateSession]],
    written: Mapping[_Key, Session | MangaAssistError],
) -> None:
    reasons = {
        job.event_id: outcome
        for key, outcome in written.items()
        if isinstance(outcome, MangaAssistError) and not isinstance(outcome, Refused)
        for job in by_session[key]
    }
    if reasons:
        raise PartlyFailed(reasons)
