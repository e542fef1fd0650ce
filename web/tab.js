// What a tab knows over a reload, and no longer: who speaks, in which session, and what a guest was
// told there. The server tells a session's turns to a signed-in owner only.

const KEY = "mangaassist";
const KEPT_TURNS = 30;

/**
 * @returns {{ token?: string, sessionId?: string, isAsked?: boolean,
 *   told?: { question: string, reply: object, at: number }[] }}
 */
export function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

export function remember({ token, sessionId, isAsked, told }) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ token, sessionId, isAsked, told: told.slice(-KEPT_TURNS) }));
  } catch {
    // Where nothing is kept, a reload begins anew.
  }
}
