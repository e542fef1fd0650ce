// Asks for a token, and stays open until the server takes one: nothing is given up for another.

import { Refused, present } from "./conversation.js";
import { by } from "./elements.js";

let offered = null; // The attempt that the dialog waits for.

export function askForToken() {
  by("token-why").textContent = "";
  by("token-dialog").showModal();
}

/**
 * @param {() => { tokenRefused: string, unreachable: string }} words in the language of the page
 * @param {(token: string) => void} signIn called with a token that the server takes
 */
export function onToken(words, signIn) {
  by("token-cancel").addEventListener("click", () => by("token-dialog").close());
  by("token-dialog").addEventListener("close", () => {
    by("token").value = "";
    offered = null;
  });
  by("token-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const attempt = (offered = {});
    const token = by("token").value.trim();
    by("token-why").textContent = "";
    const error = await present(token).catch((found) => found);
    if (attempt !== offered) return; // The dialog was left, or another token was entered.
    if (error) {
      by("token-why").textContent = error instanceof Refused ? words().tokenRefused : words().unreachable;
      return;
    }
    by("token-dialog").close();
    signIn(token);
  });
}
