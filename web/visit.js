// Who speaks at the page, in which session, and what may still be seen there of what was said. Knows
// nothing of how it looks.

import { Conversation } from "./conversation.js";
import { remember } from "./tab.js";
import { isSameUser } from "./tokens.js";

export class Visit {
  conversation = null;
  isRefused = false;
  #page;
  #isBegun = Promise.resolve(); // Once the past of the session is shown.
  #told = []; // To a guest.
  #isAsked = false; // Before that the server knows no turns.

  /**
   * @param {{ speak: () => void, clear: () => void, dropRefused: () => void, isEmpty: () => boolean,
   *   addPast: (turns: object[]) => void, addTold: (turns: object[]) => void }} page `speak` says who is
   *   there, `clear` takes away all that was said, `dropRefused` what the server did not take of it
   */
  constructor(page) {
    this.#page = page;
  }

  /** Begin where this tab was before it was loaded again. */
  resume(token, before) {
    if (token && before.sessionId && isSameUser(token, before.token ?? "")) {
      this.#isAsked = before.isAsked ?? false;
      this.#goOn(token, before.sessionId);
    } else if (!token && !before.token && before.sessionId) {
      this.#told = before.told ?? [];
      this.#begin("", before.sessionId);
      this.#page.addTold(this.#told);
    } else {
      this.#begin(token);
    }
  }

  /** Go on with the user's session, or begin anew where a guest or another user was there. */
  signIn(token) {
    const { token: before, sessionId } = this.conversation;
    if (isSameUser(token, before)) this.#goOn(token, sessionId);
    else this.#beginAnew(token);
  }

  signOut() {
    this.#beginAnew("");
  }

  /**
   * The conversation to ask in, once its past is shown; null where the session has ended meanwhile. From
   * now on the server may know turns of it.
   */
  async settled() {
    const { sessionId } = this.conversation;
    await this.#isBegun;
    if (this.conversation.sessionId !== sessionId) return null;
    this.#isAsked = true;
    this.#remember();
    return this.conversation;
  }

  /** A guest's turns are kept by the tab: the server tells turns to a signed-in owner only. */
  keep(question, reply) {
    if (!this.conversation.token) this.#told.push({ question, reply, at: Date.now() });
    this.#remember();
  }

  /** Talk in this session, or in a new one. */
  #begin(token, sessionId = crypto.randomUUID()) {
    this.conversation?.close();
    this.conversation = new Conversation(sessionId, token, () => {
      this.isRefused = true;
      this.#page.speak();
    });
    this.isRefused = false;
    this.#isBegun = Promise.resolve();
    this.#remember();
    this.#page.speak();
  }

  /** The same in an empty chat: nobody sees what somebody else was told. */
  #beginAnew(token) {
    this.#told = [];
    this.#isAsked = false;
    this.#page.clear();
    this.#begin(token);
  }

  #goOn(token, sessionId) {
    this.#begin(token, sessionId);
    this.#page.dropRefused();
    if (this.#isAsked) this.#isBegun = this.#showPast();
  }

  /**
   * Of a session that was begun just now the server knows no turns, nor is there any until the first
   * one is stored: that is no reason to leave it. Where turns can't be read, whoever asks hears why.
   */
  async #showPast() {
    const { conversation } = this;
    const turns = await conversation.turns().catch(() => null);
    if (conversation !== this.conversation) return; // Somebody else may be there now.
    if (turns && this.#page.isEmpty()) this.#page.addPast(turns);
  }

  #remember() {
    const { token, sessionId } = this.conversation;
    remember({ token, sessionId, isAsked: this.#isAsked, told: this.#told });
  }
}
