"""What a summary keeps of a conversation, and when a session is summarised."""

from itertools import permutations

from domain.sessions import LAST_TURNS, SUMMARISED_AT_ONCE, Session, Turn
from domain.summaries import MAX_CHARS, extract
from tests.fakes import NOW
from tests.samples import turn


def said(question: str, answer: str = "", number: int = 0) -> Turn:
    return Turn(f"e{number}", f"m{number}", question, answer, NOW + number)


def test_a_line_is_a_question_and_the_first_sentence_of_its_answer() -> None:
    turns = [
        said("ワンピース 最新刊", "『ワンピース』は漫画作品です。尾田栄一郎による。"),
        said("what's popular?", "Drawing attention: One Piece. The list goes on."),
        said("where is my order"),
    ]
    assert extract("", turns).splitlines() == [
        "ワンピース 最新刊 → 『ワンピース』は漫画作品です。",
        "what's popular? → Drawing attention: One Piece.",
        "where is my order",
    ]


def test_a_question_asked_again_is_told_once_with_its_newest_answer() -> None:
    earlier = extract("", [said("Trending?", "A."), said("genre", "B.")])
    again = extract(earlier, [said("ＴＲＥＮＤＩＮＧ？", "C.")])
    assert again.splitlines() == ["genre → B.", "ＴＲＥＮＤＩＮＧ？ → C."]


def test_a_summary_grows_by_parts_as_it_would_at_once() -> None:
    turns = [said(f"question {n}", f"answer {n}.", n) for n in range(12)]
    parts = extract(extract(extract("", turns[:5]), turns[5:9]), turns[9:])
    assert parts == extract("", turns)
    assert extract(parts, []) == parts
    assert extract(parts, turns) == parts


def test_a_summary_has_a_longest_length_and_loses_the_oldest() -> None:
    turns = [said(f"{n} " + "あ" * 4000, "い" * 200, n) for n in range(40)]
    summary = extract("", turns)
    assert len(summary) <= MAX_CHARS
    assert summary.splitlines()[-1].startswith("39 ")
    assert not summary.startswith("0 ")


def test_no_word_of_a_customer_makes_a_line_of_its_own() -> None:
    summary = extract("", [said("a\nb → c\r\x1b[31m\u2028d\x00", "e\nf. g")])
    assert summary == "a b - c [31m d → e f."


def test_the_last_turns_are_never_summarised_and_older_ones_when_they_are_enough() -> None:
    few = LAST_TURNS + SUMMARISED_AT_ONCE - 1
    for number in range(few + 1):
        assert session(number).to_summarise() == []
    older = session(few + 1).to_summarise()
    assert [one.event_id for one in older] == [f"e{n:02}" for n in range(SUMMARISED_AT_ONCE)]


def test_what_is_summarised_is_not_summarised_again() -> None:
    whole = session(20)
    covered = Session("s", "ann", whole.turns, "…", turn("e09", NOW + 9).place)
    assert [one.event_id for one in covered.to_summarise()] == [f"e{n}" for n in range(10, 15)]


def test_the_order_of_arrival_changes_nothing() -> None:
    turns = [turn(f"e{n}", NOW + n) for n in range(4)]
    for order in permutations(turns):
        assert Session("s", "ann").with_turns(order).in_order() == turns


def session(turns: int) -> Session:
    return Session("s", "ann").with_turns(turn(f"e{n:02}", NOW + n) for n in range(turns))
