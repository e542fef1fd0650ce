"""The page's side of a conversation, run by Node with sockets that the test closes."""

import pytest

from tests.integration.serving.page_modules import HAS_NODE, run

pytestmark = pytest.mark.skipif(not HAS_NODE, reason="needs Node")

LOST = """
const talk = new Conversation("s", "");
const heard = { a: "", b: "" };
const asked = ["a", "b"].map((name) => talk.ask(name, (text) => { heard[name] += text; }));
await settled();
const [, first, second] = sockets[0].sent;
for (const { message_id } of [second, first, second]) {
  say(sockets[0], { type: "token", message_id, text: "." });
}
sockets[0].close();
await Promise.all(asked);
const afterLoss = sockets.length;
const last = talk.ask("c", () => {});
await settled();
talk.close();
await last;
tell({
  heard, afterLoss, atEnd: sockets.length, open: sockets.filter((s) => s.readyState === 1).length,
});
"""
EXPIRED = """
let told = 0;
const talk = new Conversation("s", "a-token", () => { told += 1; });
const asked = talk.ask("a", () => {}).catch((error) => error);
await settled();
say(sockets[0], { type: "error", code: "unauthorized", detail: "no longer valid" });
sockets[0].close();
const first = await asked;
const second = await talk.ask("b", () => {}).catch((error) => error);
const after = told;
talk.close();
tell({
  first: first instanceof Refused, second: second instanceof Refused, detail: first.message, after,
  fetched, atEnd: sockets.length,
});
"""
REFUSED = """
status = 401;
body = { title: "Unauthorized", detail: "not valid" };
const refused = [];
const signedIn = new Conversation("s", "a-token", () => refused.push("signed in"));
const guest = new Conversation("g", "", () => refused.push("guest"));
sockets.forEach((socket) => socket.close());
const kinds = (error) => [error instanceof Refused, error instanceof Problem];
const outcome = (promise) => promise.then(() => "answered", kinds);
tell({
  asked: await outcome(signedIn.ask("a", () => {})), read: await outcome(signedIn.turns()),
  guest: await outcome(guest.ask("a", () => {})), refused,
});
"""
TURNS = """
const talk = new Conversation("s", "a-token");
body = { session_id: "s", turns: [{ question: "q" }] };
const found = await talk.turns();
status = 404;
tell({ found, none: await talk.turns(), fetched });
"""
UNREACHABLE = """
const posted = [];
let isReachable = false;
globalThis.fetch = async (path, { body }) => {
  posted.push(JSON.parse(body));
  if (!isReachable) throw new TypeError("no route");
  return { ok: true, status: 200, headers: new Headers(), json: async () => ({ source: "cache" }) };
};
const talk = new Conversation("s", "");
sockets[0].close();
const first = await talk.ask("a", () => {}, "m-1").catch((error) => error.message);
isReachable = true;
const again = await talk.ask("a", () => {}, "m-1");
talk.close();
tell({ first, again: again.source, ids: posted.map((each) => each.message_id) });
"""
PRESENTED = """
status = STATUS;
const outcome = await present("a-token").then(() => "taken", (error) => error.constructor.name);
tell({ outcome, bearers: fetched.map(([, bearer]) => bearer), connections: sockets.length });
"""


def test_questions_lost_together_open_one_connection_and_one_that_is_over_opens_none() -> None:
    assert run(LOST) == {
        "heard": {"a": ".", "b": ".."}, "afterLoss": 2, "atEnd": 2, "open": 0,
    }  # fmt: skip


def test_who_is_refused_on_a_connection_is_told_so_and_asks_no_other_way() -> None:
    assert run(EXPIRED) == {
        "first": True, "second": True, "detail": "no longer valid", "after": 1,
        "fetched": [], "atEnd": 1,
    }  # fmt: skip


def test_only_a_token_can_be_refused() -> None:
    assert run(REFUSED) == {
        "asked": [True, True], "read": [True, True], "guest": [False, True],
        "refused": ["signed in", "signed in"],
    }  # fmt: skip


def test_the_turns_of_a_session_are_read_with_the_token_of_their_owner() -> None:
    address = ["v1/sessions/s", "Bearer a-token"]
    assert run(TURNS) == {"found": [{"question": "q"}], "none": None, "fetched": [address] * 2}


def test_a_question_that_reached_nobody_is_asked_again_under_its_id() -> None:
    assert run(UNREACHABLE) == {"first": "no route", "again": "cache", "ids": ["m-1", "m-1"]}


@pytest.mark.parametrize(("status", "outcome"), [("404", "taken"), ("401", "Refused")])
def test_a_token_is_looked_at_before_anything_is_begun_with_it(status: str, outcome: str) -> None:
    told = {"outcome": outcome, "bearers": ["Bearer a-token"], "connections": 0}
    assert run(PRESENTED.replace("STATUS", status)) == told
