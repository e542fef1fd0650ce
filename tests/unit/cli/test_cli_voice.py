"""What `mangaassist up` tells people, where somebody looks at a terminal and where nobody does."""

import io
import sys
import time

import pytest

from cli.voice import Voice


class Screen(io.StringIO):
    """A terminal, or a pipe."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def seen(self) -> list[str]:
        """The lines as they stand there at the end, each as it was last written over."""
        return [line.rpartition("\x1b[K")[2] for line in self.getvalue().split("\n")]


def screen_of(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> Screen:
    """In place of what pytest captures, which it puts back before each test."""
    found = Screen(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stdout", found)
    monkeypatch.setenv("COLUMNS", "40")
    return found


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def voice(log: io.StringIO) -> Voice:
    return Voice(log, time.monotonic())


def test_how_far_it_is_stands_in_one_line_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, voice: Voice
) -> None:
    screen = screen_of(monkeypatch, is_terminal=True)
    voice.show("1 of 3 there")
    voice.show("2 of 3 there")
    assert screen.seen() == ["2 of 3 there"]
    voice.say("redis ended")
    voice.show("3 of 3 there")
    assert screen.seen() == ["redis ended", "3 of 3 there"]
    voice.show("")
    voice.say("ready")
    assert screen.seen() == ["redis ended", "ready", ""]


def test_it_never_takes_more_than_a_line(monkeypatch: pytest.MonkeyPatch, voice: Voice) -> None:
    screen = screen_of(monkeypatch, is_terminal=True)
    voice.show("x" * 100)
    assert len(screen.seen()[0]) < 40


def test_what_is_no_terminal_gets_lines_alone(
    monkeypatch: pytest.MonkeyPatch, voice: Voice, log: io.StringIO
) -> None:
    screen = screen_of(monkeypatch, is_terminal=False)
    voice.show("1 of 3 there")
    voice.say("ready")
    assert screen.getvalue() == "ready\n"
    assert "there" not in log.getvalue()
    assert log.getvalue().endswith("ready\n")
