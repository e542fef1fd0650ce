"""The modules of the chat page in Node, with sockets and replies that a test has in its hands."""

import json
import shutil
import subprocess
from pathlib import Path

HAS_NODE = shutil.which("node") is not None

_WEB = Path(__file__).parents[3] / "web"
_SECONDS = 60
_STAGE = """
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
let status = 200, body = {}, reading = null;
const fetched = [];
globalThis.fetch = async (path, { headers }) => {
  fetched.push([path, headers.Authorization]);
  await reading;
  return { ok: status < 400, status, headers: new Headers(), json: async () => body };
};
const say = (socket, frame) =>
  socket.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(frame) }));
const settled = () => new Promise((resolve) => setImmediate(resolve));
const load = (name) => import(`${process.argv[1]}/${name}.js`);
const { Conversation, Problem, Refused, present } = await load("conversation");
const { Visit } = await load("visit");
const tell = (found) => {
  console.log(JSON.stringify(found));
  process.exit(0);
};
"""


def run(script: str) -> dict[str, object]:
    """What the script tells."""
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", _STAGE + script, _WEB.as_uri()],
        capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found: dict[str, object] = json.loads(ran.stdout)
    return found
