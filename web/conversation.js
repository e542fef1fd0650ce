// Asks the request path: over a WebSocket, or by requests where none can be opened. Knows nothing of
// the page.

/** Thrown for an answer that is a problem; `message` is its detail. */
export class Problem extends Error {}

/** Thrown where the server does not take the token, or takes it no longer. */
export class Refused extends Problem {}

/** Thrown where a question went unanswered because the connection is no more. */
class Lost extends Error {}

const OPEN_MS = 3000;
const READ_MS = 3000;

/** One connection: questions go in, their tokens and answers come out. */
class Line {
  #socket;
  #waiting = new Map();
  #token;
  #refused;
  #refusal = "";

  /** @param {string} sessionId @param {string} token empty for a guest; see Conversation */
  constructor(sessionId, token, refused) {
    this.#token = token;
    this.#refused = refused;
    const address = new URL(`v1/ws?session_id=${encodeURIComponent(sessionId)}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new WebSocket(address);
    this.#socket.addEventListener("message", ({ data }) => this.#hear(JSON.parse(data)));
    this.#socket.addEventListener("close", () => this.#lose());
    this.opened = new Promise((resolve, reject) => {
      setTimeout(reject, OPEN_MS, new Lost());
      this.#socket.addEventListener("close", () => reject(this.#lost()));
      this.#socket.addEventListener("open", () => {
        this.#socket.send(JSON.stringify(token ? { type: "auth", token } : { type: "auth" }));
        resolve();
      });
    });
    this.opened.catch(() => this.#socket.close());
  }

  get isOver() {
    return this.#socket.readyState > WebSocket.OPEN;
  }

  async ask(message, messageId, hear) {
    await this.opened;
    if (this.isOver) throw this.#lost();
    return new Promise((resolve, reject) => {
      this.#waiting.set(messageId, { resolve, reject, hear });
      const question = { message_id: messageId, message, timing: true };
      this.#socket.send(JSON.stringify({ type: "message", ...question }));
    });
  }

  close() {
    this.#socket.close();
  }

  #hear(frame) {
    if (frame.code === "unauthorized" && this.#token) {
      this.#refusal = frame.detail;
      this.#refused();
    }
    const asked = this.#waiting.get(frame.message_id);
    if (!asked) return;
    if (frame.type === "token") {
      asked.hear(frame.text);
      return;
    }
    this.#waiting.delete(frame.message_id);
    if (frame.type === "answer") asked.resolve(frame);
    else asked.reject(frame.code === "reconnect" ? new Lost() : new Problem(frame.detail));
  }

  #lose() {
    for (const { reject } of this.#waiting.values()) reject(this.#lost());
    this.#waiting.clear();
  }

  #lost() {
    return this.#refusal ? new Refused(this.#refusal) : new Lost();
  }
}

export class Conversation {
  #line;
  #refused;
  #isOver = false;

  /**
   * @param {string} sessionId
   * @param {string} token empty for a guest
   * @param {() => void} refused called when the server does not take the token; maybe again
   */
  constructor(sessionId, token, refused = () => {}) {
    this.sessionId = sessionId;
    this.token = token;
    this.#refused = () => this.#isOver || refused();
    this.#line = this.#connect();
  }

  /**
   * The reply to a question, with the milliseconds of each segment and of the whole trip. `hear`
   * gets its text piece by piece where it comes so. A question that was lost with its connection is
   * asked once more, under the same id, so that it stays one turn; whoever asks again does so, too.
   */
  async ask(message, hear, messageId = crypto.randomUUID()) {
    const started = performance.now();
    let firstMs = null;
    const first = (text) => {
      firstMs ??= performance.now() - started;
      hear(text);
    };
    const { body, timing } = await this.#answer(message, messageId, first);
    const tripMs = performance.now() - started;
    return { ...body, ...parseTiming(timing), firstMs, tripMs };
  }

  /** The turns of the session, oldest first; null where there are none of this user's. */
  async turns() {
    const address = `v1/sessions/${encodeURIComponent(this.sessionId)}`;
    const response = await fetch(address, { headers: this.#bearer(), signal: AbortSignal.timeout(READ_MS) });
    return response.status === 404 ? null : (await this.#read(response)).turns;
  }

  close() {
    this.#isOver = true;
    this.#line.close();
  }

  async #answer(message, messageId, hear) {
    const line = this.#line;
    try {
      const frame = await line.ask(message, messageId, hear);
      return { body: frame, timing: frame.server_timing ?? "" };
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      const answer = await this.#post(message, messageId);
      this.#reconnect(line);
      return answer;
    }
  }

  /** Of all the questions that were lost with a connection, the first one opens another. */
  #reconnect(lost) {
    if (this.#isOver || lost !== this.#line) return;
    lost.close();
    this.#line = this.#connect();
  }

  #connect() {
    return new Line(this.sessionId, this.token, this.#refused);
  }

  #bearer() {
    return this.token ? bearer(this.token) : {};
  }

  async #post(message, messageId) {
    const response = await fetch("v1/chat", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...this.#bearer() },
      body: JSON.stringify({ session_id: this.sessionId, message, message_id: messageId }),
    });
    const body = await this.#read(response);
    return { body, timing: response.headers.get("server-timing") ?? "" };
  }

  async #read(response) {
    const body = await response.json();
    if (response.status === 401 && this.token) {
      this.#refused();
      throw new Refused(body.detail);
    }
    if (!response.ok) throw new Problem(body.detail ?? body.title);
    return body;
  }
}

/**
 * Have the server look at a token, before anything is given up for it; throws Refused where it is not
 * taken. A session that nobody has is asked for: whose token is good hears that there is none.
 */
export async function present(token) {
  const options = { headers: bearer(token), signal: AbortSignal.timeout(READ_MS) };
  const { status } = await fetch(`v1/sessions/${crypto.randomUUID()}`, options);
  if (status === 401) throw new Refused();
}

function bearer(token) {
  return { Authorization: `Bearer ${token}` };
}

/** `redis;dur=0.4, total;dur=0.9, rung;desc="fresh"` as segments [["redis", 0.4], …] and the rung. */
export function parseTiming(header) {
  const segments = [...header.matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]);
  return { segments, rung: /rung;desc="([\w-]+)"/.exec(header)?.[1] ?? null };
}
