// Asks the request path. Knows nothing of the page.

/** Thrown for an answer that is a problem document; `message` is its detail. */
export class Problem extends Error {}

export class Conversation {
  /** @param {string} sessionId @param {string} token empty for a guest */
  constructor(sessionId, token) {
    this.sessionId = sessionId;
    this.token = token;
  }

  /** The reply to a question, with the milliseconds of each segment and of the whole trip. */
  async ask(message) {
    const started = performance.now();
    const response = await fetch("v1/chat", {
      method: "POST",
      headers: this.#headers(),
      body: JSON.stringify({
        session_id: this.sessionId, message, message_id: crypto.randomUUID(),
      }),
    });
    const body = await response.json();
    if (!response.ok) throw new Problem(body.detail ?? body.title);
    const segments = parseTiming(response.headers.get("server-timing") ?? "");
    return { ...body, segments, tripMs: performance.now() - started };
  }

  #headers() {
    const bearer = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    return { "Content-Type": "application/json", ...bearer };
  }
}

/** `redis;dur=0.4, total;dur=0.9` as [["redis", 0.4], ["total", 0.9]]. */
export function parseTiming(header) {
  return [...header.matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]);
}
