"""Who speaks at the page, and what is seen there, run by Node: signing in and out at any moment."""

import json

import pytest

from tests.integration.serving.page_modules import HAS_NODE, run

pytestmark = pytest.mark.skipif(not HAS_NODE, reason="needs Node")

USER = "~ha?"
"""A name that is written otherwise in the alphabet of tokens than in that of plain base64."""
VISIT = """
const token = (sub, mark) =>
  ["head", Buffer.from(JSON.stringify({ sub })).toString("base64url"), mark].join(".");
const seen = [];
const add = (turns) => seen.push(...turns.map(({ question }) => question));
const visit = new Visit({
  speak: () => {}, clear: () => { seen.length = 0; }, dropRefused: () => {},
  isEmpty: () => !seen.length, addPast: add, addTold: add,
});
const found = () => ({
  seen, sameSession: visit.conversation.sessionId === "s", token: visit.conversation.token,
});
"""
SIGNED_OUT = """
let release;
reading = new Promise((resolve) => { release = resolve; });
const earlier = token(USER, "1");
visit.resume(token(USER, "2"), { token: earlier, sessionId: "s", isAsked: true });
const asking = visit.settled();
visit.signOut();
const askingAsGuest = await visit.settled();
status = STATUS;
body = { turns: [{ question: "hers" }] };
release();
const asked = await asking;
await settled();
tell({ ...found(), asked, isReady: askingAsGuest === visit.conversation });
"""
SIGNED_IN_AGAIN = """
const before = token(USER, "1");
body = { turns: [{ question: "hers" }] };
visit.resume(before, { token: before, sessionId: "s", isAsked: true });
await visit.settled();
status = STATUS;
visit.signIn(NEXT);
const asked = await visit.settled();
tell({ ...found(), token: asked === visit.conversation });
"""
RELOADED = """
const kept = { sessionId: "s", token: BEFORE, isAsked: true, told: [{ question: "a guest's" }] };
body = { turns: [{ question: "hers" }] };
visit.resume(TOKEN, kept);
await visit.settled();
tell(found());
"""
NEVER_ASKED = """
const kept = [];
globalThis.sessionStorage = { setItem: (_key, text) => kept.push(JSON.parse(text)) };
const hers = token(USER, "1");
visit.resume("", {});
visit.signIn(hers);
await visit.settled();
const [asked] = kept.slice(-1);
visit.signOut();
visit.signIn(hers);
const [unasked] = kept.slice(-1);
visit.resume(hers, unasked);
await settled();
const before = fetched.length;
visit.resume(hers, asked);
tell({ before, after: fetched.length });
"""
HERS, ANOTHERS = 'token(USER, "2")', 'token("ken", "1")'


def visit(script: str, **words: str) -> dict[str, object]:
    for word, value in words.items():
        script = script.replace(word, value)
    return run((VISIT + script).replace("USER", json.dumps(USER)))


@pytest.mark.parametrize("status", ["200", "404", "500"])
def test_who_signs_out_while_turns_are_read_is_a_guest_and_sees_none_of_them(status: str) -> None:
    assert visit(SIGNED_OUT, STATUS=status) == {
        "seen": [], "sameSession": False, "token": "", "asked": None, "isReady": True,
    }  # fmt: skip


@pytest.mark.parametrize("status", ["200", "404", "500"])
def test_the_same_user_goes_on_with_the_session_also_before_it_is_stored(status: str) -> None:
    assert visit(SIGNED_IN_AGAIN, STATUS=status, NEXT=HERS) == {
        "seen": ["hers"], "sameSession": True, "token": True,
    }  # fmt: skip


@pytest.mark.parametrize("token", [ANOTHERS, '"no.token.atall"', '"unreadable"'])
@pytest.mark.parametrize("status", ["200", "404", "500"])
def test_anybody_else_begins_anew_and_sees_nothing(status: str, token: str) -> None:
    assert visit(SIGNED_IN_AGAIN, STATUS=status, NEXT=token) == {
        "seen": [], "sameSession": False, "token": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "token", "seen", "same"),
    [
        (HERS, HERS, ["hers"], True),
        ('token(USER, "1")', HERS, ["hers"], True),
        (ANOTHERS, HERS, [], False),
        ('""', '""', ["a guest's"], True),
        ('""', HERS, [], False),
    ],
)
def test_a_reload_shows_what_was_told_to_the_same_one(
    before: str, token: str, seen: list[str], same: bool
) -> None:
    told = visit(RELOADED, BEFORE=before, TOKEN=token)
    assert (told["seen"], told["sameSession"]) == (seen, same)


def test_turns_are_read_only_of_a_session_in_which_something_was_asked() -> None:
    assert visit(NEVER_ASKED) == {"before": 0, "after": 1}
