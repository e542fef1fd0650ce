"""The chat page in a real browser: who is signed in, what a reload leaves, how titles are named."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.browser import CHROMIUM, Page, page
from tests.system.running import Stack, eventually

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

REFUSED = "document.getElementById('who').classList.contains('refused')"
SESSION = 'JSON.parse(sessionStorage.getItem("mangaassist")).sessionId'
FORGE = """(() => {
  const tab = JSON.parse(sessionStorage.getItem("mangaassist"));
  sessionStorage.setItem("mangaassist", JSON.stringify({ ...tab, token: TOKEN }));
})()"""
FORGED = "A" * 8
"""The end of a signature that nobody made."""
CUT_OFF = """(() => {
  window.isDown = true;
  window.ids = [];
  const fetched = window.fetch;
  WebSocket.prototype.send = function () { this.close(); };
  window.fetch = (path, options) => {
    window.ids.push(JSON.parse(options.body).message_id);
    return window.isDown ? Promise.reject(new TypeError("cut off")) : fetched(path, options);
  };
})()"""
IN_VIEW = """(() => {
  const turns = document.getElementById("turns").getBoundingClientRect();
  return [...document.querySelectorAll(".question, .answer")].slice(-2).map((part) => {
    const { top } = part.getBoundingClientRect();
    return top >= turns.top && top < turns.bottom;
  });
})()"""
BELOW = """(() => {
  const { scrollHeight, clientHeight, scrollTop } = document.getElementById("turns");
  return [scrollHeight > clientHeight, Math.round(scrollHeight - clientHeight - scrollTop)];
})()"""
ROWS = "new Set([...document.querySelectorAll('header button')].map((e) => e.offsetTop)).size"
FOCUS = "document.activeElement.id"
DIALOG = "document.getElementById('token-dialog').open"


@pytest.fixture
def japanese(stack: Stack, tmp_path: Path) -> Iterator[Page]:
    with page(tmp_path / "profile", "ja-JP") as found:
        found.open(stack.http)
        yield found


@pytest.fixture
def english(stack: Stack, tmp_path: Path) -> Iterator[Page]:
    with page(tmp_path / "profile", "en-US") as found:
        found.open(stack.http)
        yield found


def ask(tab: Page, question: str) -> str:
    """What is answered; asked again where Redis was late on a busy machine."""
    return eventually(
        lambda: asked_once(tab, question), lambda card: "precomputed" in card.splitlines()
    )


def asked_once(tab: Page, question: str) -> str:
    before = len(tab.texts(".answer .badge"))
    tab.enter("#message", question)
    eventually(lambda: tab.texts(".answer .badge"), lambda found: len(found) > before)
    return tab.texts(".answer")[-1]


def sign_in(tab: Page, token: str) -> None:
    tab.click("#sign-in")
    tab.enter("#token", token)


def until_stored(stack: Stack, tab: Page, token: str) -> str:
    """The session of the tab, once all that was asked there is kept."""
    session, asked = tab.run(SESSION), len(tab.texts(".question"))
    eventually(
        lambda: stack.request("GET", f"/v1/sessions/{session}", token=token).body,
        lambda found: len(found.get("turns", ())) == asked,
    )
    return str(session)


def test_a_japanese_answer_names_authors_and_genres_in_japanese(japanese: Page) -> None:
    card = ask(japanese, "ワンピース 最新刊")
    assert "尾田栄一郎\u00a0/ 1997-07\u00a0/ アクション" in card
    assert "Eiichiro Oda" not in card
    assert "Eiichiro Oda\u00a0/ 1997-07\u00a0/ Action" in ask(japanese, "One Piece latest")


def test_a_guests_chat_is_still_there_after_a_reload(english: Page) -> None:
    answer = ask(english, "show me shonen")
    english.reload()
    again = eventually(lambda: english.texts(".answer"), bool)
    assert english.texts(".question")[-1] == "show me shonen"
    assert again[-1].splitlines()[0] == answer.splitlines()[0]


def test_a_mistyped_token_is_not_taken_for_a_customer(english: Page) -> None:
    sign_in(english, "mistyped")
    assert english.run(DIALOG)
    assert english.texts("#who") == ["Guest"]


def test_a_session_is_read_again_after_a_reload_and_gone_after_signing_out(
    stack: Stack, english: Page
) -> None:
    token = stack.token("page-reader")
    sign_in(english, token)
    eventually(lambda: english.texts("#who"), lambda found: found == ["Signed in"])
    answer = ask(english, "show me shonen")
    until_stored(stack, english, token)
    english.reload()
    told = eventually(lambda: english.texts(".past p"), bool)
    assert answer.splitlines()[0] in told
    assert english.texts(".question")[-1] == "show me shonen"
    english.click("#sign-in")
    eventually(lambda: english.texts("#who"), lambda found: found == ["Guest"])
    english.reload()
    eventually(lambda: english.texts("#who"), lambda found: found == ["Guest"])
    assert english.texts(".question") == []


def test_who_is_refused_is_told_so_and_goes_on_with_the_session_after_signing_in(
    stack: Stack, english: Page
) -> None:
    token = stack.token("page-refused")
    sign_in(english, token)
    eventually(lambda: english.texts("#who"), lambda found: found == ["Signed in"])
    ask(english, "new releases")
    session = until_stored(stack, english, token)
    english.run(FORGE.replace("TOKEN", json.dumps(token[:-8] + FORGED)))
    english.reload()
    eventually(lambda: english.run(REFUSED), bool)
    assert english.texts("#sign-in") == ["Sign in again"]
    english.enter("#message", "show me shonen")
    eventually(lambda: english.texts(".failed button"), lambda found: "Sign in again" in found)
    english.click(".failed button")
    english.enter("#token", token)
    eventually(lambda: english.texts("#who"), lambda found: found == ["Signed in"])
    eventually(lambda: english.texts(".past"), bool)
    assert english.run(SESSION) == session
    assert english.texts(".question")[-1] == "new releases"
    asked_once(english, "")
    assert english.texts(".question")[-2:] == ["new releases", "show me shonen"]
    assert english.run(SESSION) == session


def test_a_question_that_reached_nobody_is_asked_again_in_its_place(english: Page) -> None:
    english.run(CUT_OFF)
    english.enter("#message", "show me shonen")
    eventually(lambda: english.texts(".failed button"), lambda found: found == ["Try again"])
    english.run("window.isDown = false")
    english.click(".failed button")
    eventually(lambda: english.texts(".answer .badge"), bool)
    assert english.texts(".question") == ["show me shonen"]
    assert english.texts(".failed") == []
    first, again = english.run("window.ids")
    assert first == again
    assert english.run(FOCUS) == "message"


def test_a_long_answer_is_read_from_its_beginning_and_a_reload_ends_at_the_end(
    english: Page,
) -> None:
    english.resize(375, 667)
    ask(english, "show me shonen")
    assert english.run(IN_VIEW) == [True, True]
    assert english.run(BELOW)[1] > 0
    english.reload()
    eventually(lambda: english.texts(".answer .badge"), bool)
    assert english.run(BELOW) == [True, 0]
    assert english.run(ROWS) == 1


def test_a_token_that_is_not_taken_changes_nothing(stack: Stack, english: Page) -> None:
    ask(english, "show me shonen")
    before = english.texts(".question"), english.run(SESSION)
    sign_in(english, stack.token("page-guest")[:-8] + FORGED)
    eventually(lambda: english.texts("#token-why"), lambda found: "does not accept" in found[0])
    assert english.run(DIALOG)
    english.click("#token-cancel")
    english.click("#sign-in")
    assert english.texts("#token-why") == [""]
    english.click("#token-cancel")
    assert english.texts("#who") == ["Guest"]
    assert (english.texts(".question"), english.run(SESSION)) == before


def test_who_signs_in_or_goes_on_as_a_guest_can_type_at_once(stack: Stack, english: Page) -> None:
    token = stack.token("page-typist")
    sign_in(english, token)
    eventually(lambda: english.texts("#who"), lambda found: found == ["Signed in"])
    assert english.run(FOCUS) == "message"
    english.run(FORGE.replace("TOKEN", json.dumps(token[:-8] + FORGED)))
    english.reload()
    english.enter("#message", "new releases")
    english.click(".failed button:last-child")
    eventually(lambda: english.texts("#who"), lambda found: found == ["Guest"])
    assert english.run(FOCUS) == "message"


def test_who_has_scrolled_away_is_left_there_when_an_answer_comes(english: Page) -> None:
    english.resize(375, 667)
    ask(english, "show me shonen")
    answered = len(english.texts(".answer .badge"))
    english.run(CUT_OFF)
    english.enter("#message", "show me shonen")
    eventually(lambda: english.texts(".failed button"), bool)
    assert english.run(IN_VIEW) == [True, True]
    english.run("document.getElementById('turns').scrollTop = 0; window.isDown = false")
    english.click(".failed button")
    eventually(lambda: english.texts(".answer .badge"), lambda found: len(found) > answered)
    assert english.run("document.getElementById('turns').scrollTop") == 0
