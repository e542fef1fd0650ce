"""Customers who ask and do things, bounded in number, and remember what they were told.

Each customer is a thread with one connection. It awaits each answer, and sends the same again, with
the same ids, until it is accepted: that is what a client of the contract does.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from domain.event_ids import event_id_of_message
from tests.faults.history import Asked, Did, History, Said
from tests.faults.link import Link
from tests.faults.questions import MESSAGES, TRUE_OF, WORD, Question

CUSTOMERS = 4
QUESTIONS_OF_A_SESSION = 5
RETRY_SECONDS = 0.05
GIVE_UP_SECONDS = 240.0
LEARNER = "learner"
WEIGHTS = {"view": 1.0, "read": 2.0, "cart": 3.0, "purchase": 5.0}
SPACING_SECONDS = 0.000_1
"""Between the times of two interactions, so that each can be told from every other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is to be done: the first part at a pace, the rest as fast as can be."""

    interactions: int
    questions: int
    batch: int = 100
    paced_seconds: float = 3.0
    paced_share: float = 0.8

    @property
    def events(self) -> int:
        """All of it."""
        return self.interactions + self.questions

    @property
    def sessions(self) -> int:
        """So many sessions are spoken in."""
        return -(-self.questions // QUESTIONS_OF_A_SESSION)


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    body: bytes
    events: int
    user: str
    asked: Question | None = None
    did: tuple[Did, ...] = ()


class Load:
    """One run's customers. `run` names its sessions and items; `mint` makes a user's token, which
    is kept until `renew`.

    They are one user, `user`; but where models are asked, each session is one of its own, since
    what a user may ask of them is bounded.
    """

    def __init__(
        self,
        port: int,
        run: str,
        amount: Amount,
        mint: Callable[[str], str],
        *,
        user: str,
        messages: Sequence[str] = MESSAGES,
        items: int = 40,
    ) -> None:
        self.run, self.amount, self.user, self.messages = run, amount, user, messages
        self._port, self._mint, self._items = port, mint, items
        self._tokens: dict[str, str] = {}
        self._renewed = False
        self._of_models = [message for message in messages if WORD in message]
        self.whole: dict[str, str] = {}
        """What models answered before anything was struck, by question."""
        self._lock = threading.Lock()
        self._asked: list[Asked] = []
        self._did: list[Did] = []
        self._told = self._learnt = 0
        self.slowest_seconds = 0.0
        self.degraded = 0
        self._hurry = threading.Event()
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        self._began_at = datetime.now(UTC).timestamp() - 600
        self._threads = [
            threading.Thread(target=self._live, args=(number,), name=f"customer-{number}")
            for number in range(CUSTOMERS)
        ]

    @property
    def sessions(self) -> list[str]:
        """The sessions that are spoken in."""
        own = [f"{self.run}-{number}" for number in range(self.amount.sessions)]
        return own + [f"{self.run}-{LEARNER}-{number}" for number in range(self._learnt)]

    def learn(self) -> None:
        """Ask what models are asked once, to know the whole answers."""
        link = Link(self._port)
        ends_at = time.monotonic() + GIVE_UP_SECONDS
        for message in self._of_models:
            while message not in self.whole:
                self._until_told(link, self._question(f"{LEARNER}-{self._learnt}", 0, message))
                self._learnt += 1
                said = self._asked[-1].said
                if said is not None and TRUE_OF[message] in said.text:
                    self.whole[message] = said.text
                assert time.monotonic() < ends_at, f"no model answers {message!r} in time"
        link.close()
        self._told = 0

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def share(self) -> float:
        """How much of it is done."""
        if self._failure is not None:
            raise self._failure
        return self._told / self.amount.events

    def renew(self) -> None:
        """Come with other tokens from now on, and bear it where they are refused for a time."""
        self._renewed = True
        self._tokens = {}

    def hurry(self) -> None:
        """Pace no longer."""
        self._hurry.set()

    def finished(self) -> bool:
        """Whether every customer has been told everything."""
        if self._failure is not None:
            raise self._failure
        return not any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Have the customers go away, whatever they wait for."""
        self._abandoned.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def history(self) -> History:
        """What they did and were told; those of a session are in its order."""
        return History(self._asked, self._did, whole=self.whole)

    def _live(self, number: int) -> None:
        link = Link(self._port)
        pace = self.amount.paced_seconds / (self.amount.events * self.amount.paced_share)
        try:
            # Not all at once.
            self._hurry.wait(number * self.amount.batch * pace)
            for request in self._requests(number):
                started = time.monotonic()
                self._until_told(link, request)
                took = time.monotonic() - started
                self._hurry.wait(max(0.0, request.events * pace * CUSTOMERS - took))
                if self._abandoned.is_set():
                    return
        except BaseException as error:  # told to whoever waits for the load
            self._failure = error
        finally:
            link.close()

    def _requests(self, number: int) -> Iterator[_Request]:
        """Every so many questions a batch of interactions, the batches spread evenly."""
        batches = range(number, -(-self.amount.interactions // self.amount.batch), CUSTOMERS)
        sessions = range(number, self.amount.sessions, CUSTOMERS)
        questions = [
            (session, turn)
            for session in sessions
            for turn in range(QUESTIONS_OF_A_SESSION)
            if session * QUESTIONS_OF_A_SESSION + turn < self.amount.questions
        ]
        steps = max(len(batches), len(questions))
        for step in range(steps):
            for at in _due(step, steps, len(questions)):
                session, turn = questions[at]
                message = self.messages[(session + turn) % len(self.messages)]
                yield self._question(str(session), turn, message)
            for at in _due(step, steps, len(batches)):
                yield self._batch(batches[at])

    def _question(self, session: str, turn: int, wording: str) -> _Request:
        asked = Question(f"{self.run}-{session}", f"m-{turn}", wording)
        body = {
            "session_id": asked.session,
            "message": asked.message,
            "message_id": asked.message_id,
        }
        owner = self._owner(asked.session)
        return _Request("/v1/chat", json.dumps(body).encode(), 1, owner, asked)

    def _owner(self, session: str) -> str:
        return session if self._of_models else self.user

    def _batch(self, number: int) -> _Request:
        first = number * self.amount.batch
        last = min(self.amount.interactions, first + self.amount.batch)
        rows, did = [], []
        for at in range(first, last):
            kind, weight = list(WEIGHTS.items())[at % len(WEIGHTS)]
            # As the server will read it.
            moment = datetime.fromtimestamp(self._began_at + at * SPACING_SECONDS, UTC)
            text = moment.isoformat(timespec="microseconds")
            item = f"{self.run}-{at % self._items}"
            event_id = str(uuid5(NAMESPACE_OID, f"{self.run} {at}"))
            rows.append(
                {"event_id": event_id, "type": kind, "item_id": item, "user_id": self.user,
                 "occurred_at": text}
            )  # fmt: skip
            did.append(Did(event_id, item, moment.timestamp(), weight, acknowledged=True))
        body = json.dumps({"events": rows}).encode()
        return _Request("/v1/events", body, last - first, self.user, did=tuple(did))

    def _until_told(self, link: Link, request: _Request) -> None:
        ends_at = time.monotonic() + GIVE_UP_SECONDS
        while not self._abandoned.is_set():
            started = time.monotonic()
            reply = link.post(request.path, request.body, self._token(request.user))
            if reply is not None and self._note(request, *reply, time.monotonic() - started):
                return
            assert time.monotonic() < ends_at, f"nobody accepts {request.path}: {reply}"
            time.sleep(RETRY_SECONDS)

    def _token(self, user: str) -> str:
        kept = self._tokens
        if user not in kept:
            kept[user] = self._mint(user)
        return kept[user]

    def _note(
        self, request: _Request, status: int, document: Mapping[str, Any], took_seconds: float
    ) -> bool:
        """Remember what was said; whether that was a promise."""
        if request.asked is not None and status == http.client.OK:
            asked = self._asked_of(request.asked, document)
            with self._lock:
                self._asked.append(asked)
                self._told += 1
                self.slowest_seconds = max(self.slowest_seconds, took_seconds)
                self.degraded += document["source"] != "precomputed"
            return True
        # A batch of which a part was refused is sent again as a whole.
        if status == http.client.ACCEPTED and document["accepted"] == len(request.did):
            with self._lock:
                self._did += request.did
                self._told += len(request.did)
            return True
        bearable = {http.client.ACCEPTED, http.client.TOO_MANY_REQUESTS}
        bearable |= {http.client.UNAUTHORIZED} if self._renewed else set()
        assert status in bearable, (status, document)
        return False

    def _asked_of(self, asked: Question, document: Mapping[str, Any]) -> Asked:
        owner = self._owner(asked.session)
        event_id = event_id_of_message(owner, asked.session, asked.message_id, asked.message)
        assert document["event_id"] == event_id, f"{document['event_id']} is not {event_id}"
        answer = document["answer"]
        is_fresh = document["source"] == "precomputed"
        named = (f"{answer['kind']} {answer['locale']}", document["generated_at"])
        is_models = asked.is_for_model and answer["kind"] == "chat"
        return Asked(
            event_id,
            asked.session,
            asked.message_id,
            True,
            named if is_fresh else None,
            Said(asked.wording, answer["text"]) if is_models else None,
        )


def _due(step: int, steps: int, count: int) -> range:
    """Which of so many things come at this step when all are spread over the steps."""
    return range(step * count // steps, (step + 1) * count // steps)
