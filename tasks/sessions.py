"""Adds turns to sessions and summarises long ones: durably, then in what the request path reads.

What is durable is done: a copy that fails costs a read, or a turn that is seen late, and no retry.
Whose a session is must get there, though, so a stranger's turns come again until it has; and so do
turns with an answer of the model, until it is noted that they have it.
"""

from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from domain.errors import MangaAssistError, OwnedByAnother, PartlyFailed, Refused
from domain.jobs import UpdateSession
from domain.ports import Given, Ports
from domain.sessions import Session, Turn
from tasks.performs import performs
from tasks.retractions import without_retracted

THREADS = 4
"""Sessions of one pack written at once: the writes only wait for the network."""

_Key = tuple[str, str]


@performs(UpdateSession)
def update_sessions(jobs: Sequence[UpdateSession], ports: Ports) -> None:
    """Write the turns of each session at once; a stranger's turns are dropped and counted."""
    by_session = _by_session(jobs)
    written = _write(by_session, ports)
    written = {**written, **_without_retracted(by_session, written, ports)}
    _copy([it for it in written.values() if isinstance(it, Session)], ports)
    _note_seen({job.owner for job in jobs}, ports)
    written = {**written, **_not_given_back(written, ports)}
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
            session = ports.sessions.add_turns(*key, [_turn(job) for job in by_session[key]])
            return _summarised(session, ports)
        except MangaAssistError as error:
            return error

    if len(by_session) == 1:
        return {key: write(key) for key in by_session}
    with ThreadPoolExecutor(min(THREADS, len(by_session))) as threads:
        return dict(zip(by_session, threads.map(write, by_session), strict=True))


def _without_retracted(
    by_session: Mapping[_Key, Sequence[UpdateSession]],
    written: Mapping[_Key, Session | MangaAssistError],
    ports: Ports,
) -> Mapping[_Key, Session | MangaAssistError]:
    """Those of these sessions that changed since, as an answer had been taken back before."""
    given = {
        key: answers
        for key, outcome in written.items()
        if isinstance(outcome, Session) and (answers := _given(by_session[key]))
    }
    return without_retracted(given, ports) if given else {}


def _given(jobs: Sequence[UpdateSession]) -> Sequence[Given]:
    return [Given(job.answer_id, job.session_id, job.event_id) for job in jobs if job.answer_id]


def _summarised(session: Session, ports: Ports) -> Session:
    """The session with the older of its turns in its summary, once they are enough."""
    turns = session.to_summarise()
    if not turns:
        return session
    summary = ports.summarise(session.summary, turns)
    longer = replace(session, summary=summary, summarised_through=turns[-1].place)
    # Who was quicker has covered the same turns, and tells the request path.
    return ports.sessions.summarise(longer) or session


def _copy(sessions: Sequence[Session], ports: Ports) -> None:
    try:
        ports.session_copies.put(sessions)
    except MangaAssistError:
        ports.metrics.count("cache_write_failures_total", len(sessions))


def _note_seen(owners: Set[str], ports: Ports) -> None:
    try:
        ports.hot_users.note_seen(owners)
    except MangaAssistError:
        ports.metrics.count("cache_write_failures_total")


def _not_given_back(
    written: Mapping[_Key, Session | MangaAssistError], ports: Ports
) -> Mapping[_Key, MangaAssistError]:
    """Give sessions that a stranger claimed back to their owners; why not, where that failed."""
    failed: dict[_Key, MangaAssistError] = {}
    for key, outcome in written.items():
        if isinstance(outcome, OwnedByAnother):
            try:
                ports.session_copies.restore_owner(key[0], outcome.owner)
            except MangaAssistError as error:
                failed[key] = error
    return failed


def _turn(job: UpdateSession) -> Turn:
    return Turn(
        event_id=job.event_id,
        message_id=job.message_id,
        question=job.question,
        answer_preview=job.answer_preview,
        at=job.occurred_at,
        answer_id=job.answer_id,
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
