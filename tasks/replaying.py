"""One run over the dead letters: looks, decides, parks and sends, and only then deletes.

Bounded in messages, rate and time, so that it does not hold up the queue that it runs on. Killed at
any point, or run twice at once, it leaves letters in two places at worst, never in none.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from config.failpoints import Failpoint, reach
from config.queues import DeadLetterRules
from domain.dead_letters import (
    Leave,
    Letter,
    Park,
    Rules,
    SendAgain,
    comes_straight_back,
    decide,
    parked,
)
from domain.ports import Ports

RUN_SECONDS = 8.0
"""Together with one slow request this stays near ten."""
HIDE_SECONDS = 30
"""Longer than a run: nobody else looks at what this one is deciding on."""


@dataclass(slots=True)
class Run:
    """What one run may still do."""

    ports: Ports
    table: DeadLetterRules
    sleep: Callable[[float], None] = time.sleep
    began: float = field(init=False)
    left: int = field(init=False)
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.ports.clock()
        self.left = self.table.per_run
        self.rules = Rules(
            parts=self.table.parts,
            max_replays=self.table.max_replays,
            wait_seconds=self.table.wait_seconds,
            wait_factor=self.table.wait_factor,
        )

    @property
    def is_over(self) -> bool:
        """Whether its messages or its time are used up."""
        return self.left <= 0 or self.ports.clock() - self.began >= RUN_SECONDS

    def retry(self, queue: str) -> None:
        """Treat a queue's dead letters until there are no more, or they come straight back."""
        with self._showing_again() as hidden:
            while not self.is_over:
                received = self.ports.dead_letters.receive(queue, HIDE_SECONDS)
                fresh = [letter for letter in received if letter.id not in hidden]
                hidden.update({letter.id: letter for letter in received})
                if not fresh:
                    return
                reach(Failpoint.DEAD_LETTERS_AFTER_RECEIVE)
                if comes_straight_back(fresh, self.rules, self.ports.clock()):
                    self._count(queue, "left", len(fresh))
                    return
                for letter in self._treat(queue, fresh):
                    hidden.pop(letter.id)

    def _treat(self, queue: str, letters: Sequence[Letter]) -> Sequence[Letter]:
        """Do what is decided; the letters that are deleted."""
        now = self.ports.clock()
        decided = [(letter, decide(letter, self.rules, now)) for letter in letters]
        aside = [(letter, what) for letter, what in decided if isinstance(what, Park)]
        again = [(letter, what) for letter, what in decided if isinstance(what, SendAgain)]
        left = [letter for letter, what in decided if isinstance(what, Leave)]
        self._count(queue, "left", len(left))
        done = [*self._park(queue, aside, now), *self._send(queue, again, now)]
        sent = sum(len(what.parts) for _, what in again)
        self.left -= max(len(letters), sent)
        deleted = self._delete(done)
        self.sleep(sent / self.table.per_second)
        return deleted

    def _park(
        self, queue: str, aside: Sequence[tuple[Letter, Park]], now: float
    ) -> Sequence[Letter]:
        if not aside:
            return []
        refused = self.ports.parking.park([parked(letter, what, now) for letter, what in aside])
        reach(Failpoint.DEAD_LETTERS_AFTER_PARK)
        taken = [letter for letter, _ in aside if letter.parked_id not in refused]
        self._count(queue, "parked", len(taken))
        return taken

    def _send(
        self, queue: str, again: Sequence[tuple[Letter, SendAgain]], now: float
    ) -> Sequence[Letter]:
        if not again:
            return []
        refused = self.ports.dead_letters.send(again, now)
        reach(Failpoint.DEAD_LETTERS_AFTER_SEND)
        taken = [(letter, what) for letter, what in again if letter.id not in refused]
        split = sum(len(what.parts) > 1 for _, what in taken)
        self._count(queue, "split", split)
        self._count(queue, "sent", len(taken) - split)
        self._count(queue, "left", len(refused))
        return [letter for letter, _ in taken]

    def _delete(self, letters: Sequence[Letter]) -> Sequence[Letter]:
        if not letters:
            return []
        still_there = self.ports.dead_letters.delete(letters)
        reach(Failpoint.DEAD_LETTERS_AFTER_DELETE)
        return [letter for letter in letters if letter.id not in still_there]

    def _count(self, queue: str, outcome: str, letters: int) -> None:
        if letters:
            self.ports.metrics.count("dead_letters_total", letters, queue=queue, outcome=outcome)

    @contextmanager
    def _showing_again(self) -> Iterator[dict[str, Letter]]:
        hidden: dict[str, Letter] = {}
        try:
            yield hidden
        finally:
            if hidden:
                self.ports.dead_letters.release(list(hidden.values()))
