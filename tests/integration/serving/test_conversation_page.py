"""The page's side of a conversation, run by Node with sockets that the test closes."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "web" / "conversation.js"
SECONDS = 60
LOST = """
const sockets = [];
globalThis.location = { href: "http://shop.test/" };
globalThis.WebSocket = class extends EventTarget {
  static OPEN = 1;
  readyState = 1;
  sent = [];
  constructor() {
    super();
    sockets.push(this);
    queueMicrotask(() => this.dispatchEvent(new Event("open")));
  }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; this.dispatchEvent(new Event("close")); }
};
globalThis.fetch = async () => ({ ok: true, headers: new Headers(), json: async () => ({}) });
const settled = () => new Promise((resolve) => setImmediate(resolve));
const { Conversation } = await import(process.argv[1]);

const talk = new Conversation("s", "");
const heard = { a: "", b: "" };
const asked = ["a", "b"].map((name) => talk.ask(name, (text) => { heard[name] += text; }));
await settled();
const [, first, second] = sockets[0].sent;
for (const { message_id } of [second, first, second]) {
  const data = JSON.stringify({ type: "token", message_id, text: "." });
  sockets[0].dispatchEvent(new MessageEvent("message", { data }));
}
sockets[0].close();
await Promise.all(asked);
const afterLoss = sockets.length;
const last = talk.ask("c", () => {});
await settled();
talk.close();
await last;
console.log(JSON.stringify({
  heard, afterLoss, atEnd: sockets.length, open: sockets.filter((s) => s.readyState === 1).length,
}));
process.exit(0);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_questions_lost_together_open_one_connection_and_one_that_is_over_opens_none() -> None:
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", LOST, SOURCE.as_uri()],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "heard": {"a": ".", "b": ".."}, "afterLoss": 2, "atEnd": 2, "open": 0,
    }  # fmt: skip
