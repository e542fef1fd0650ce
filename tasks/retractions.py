"""Takes answers of the model back in the sessions that have them: a note stands in their place."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from config import guardrails
from domain.errors import MangaAssistError, Transient
from domain.events import Locale
from domain.ports import Given, Ports, Verdict
from domain.sessions import Session

Key = TypeVar("Key")


def take_back(given: Sequence[Given], locale: Locale, ports: Ports) -> None:
    """Take an answer back in these turns, and in what the request path reads of their sessions."""
    for one in given:
        session = _taken_back(one, locale, ports)
        if session is not None:
            ports.session_copies.put([session])


def without_retracted(
    given: Mapping[Key, Sequence[Given]], ports: Ports
) -> Mapping[Key, Session | MangaAssistError]:
    """Note who was given what, for turns that are stored, by session; what changes in the sessions.

    That is, those of which an answer is taken back already, or why it is not known.
    """
    try:
        verdicts = ports.checks.note([one for turns in given.values() for one in turns])
    except MangaAssistError as error:
        return dict.fromkeys(given, error)
    changed: dict[Key, Session | MangaAssistError] = {}
    for key, turns in given.items():
        try:
            session = _without(turns, verdicts, ports)
        except MangaAssistError as error:
            changed[key] = error
        else:
            if session is not None:
                changed[key] = session
    return changed


def _without(
    turns: Sequence[Given], verdicts: Mapping[str, Verdict], ports: Ports
) -> Session | None:
    session: Session | None = None
    for one in turns:
        verdict = verdicts.get(one.answer_id)
        if verdict is not None and verdict.is_retracted:
            session = _taken_back(one, verdict.locale, ports) or session
    return session


def _taken_back(given: Given, locale: Locale, ports: Ports) -> Session | None:
    """The session without the answer, neither in its turn nor in its summary.

    None where it has it not: the turn is not stored yet, or not any more. Done again, it changes
    nothing more.
    """
    session = ports.sessions.retract(given, guardrails.declared().notes.of(locale))
    turn = session.turns.get(given.event_id) if session is not None else None
    if session is None or turn is None or turn.place > session.summarised_through:
        return session
    summary = ports.summarise(session.summary, [turn])
    if summary == session.summary:
        return session
    reworded = ports.sessions.reword(replace(session, summary=summary))
    if reworded is None:
        raise Transient("the summary of a session is being written")
    return reworded
