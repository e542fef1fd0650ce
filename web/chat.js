// The page: turns on the left, what is known of the chosen answer on the right.

import { Problem, Refused } from "./conversation.js";
import { button, by, element } from "./elements.js";
import { follow, reveal, toEnd } from "./scrolling.js";
import { recall } from "./tab.js";
import { askForToken, onToken } from "./token_dialog.js";
import { Visit } from "./visit.js";
import { wordings } from "./wordings.js";

const PREVIEW_CHARS = 200; // What a session keeps of an answer.

const state = {
  locale: navigator.language.startsWith("ja") ? "ja" : "en",
  chosen: null,
  tally: new Map(),
};
const isEmpty = () => !by("turns").childElementCount;
const visit = new Visit({ speak, clear, dropRefused, isEmpty, addPast, addTold });

function clear() {
  Object.assign(state, { chosen: null, tally: new Map() });
  for (const id of ["turns", "facts", "segments", "sources"]) by(id).replaceChildren();
  by("trace-none").hidden = false;
}

/** Take away the questions that the server did not take: they can be asked again. */
function dropRefused() {
  for (const part of document.querySelectorAll("#turns .refused")) part.remove();
}

function goOnAsGuest() {
  visit.signOut();
  by("message").focus();
}

/** Put everything that the page says into its language. */
function speak() {
  const say = wordings[state.locale];
  const isSignedIn = Boolean(visit.conversation.token);
  const [who, door] = visit.isRefused ? [say.refused, say.signInAgain]
    : isSignedIn ? [say.signedIn, say.signOut] : [say.guest, say.signIn];
  document.documentElement.lang = state.locale;
  const texts = {
    who, "sign-in": door,
    locale: say.other, send: say.send, "trace-title": say.trace, "trace-none": say.none,
    "turns-title": say.tally, "token-label": say.token, "token-cancel": say.cancel, "token-save": say.save,
  };
  for (const [id, text] of Object.entries(texts)) by(id).textContent = text;
  by("who").classList.toggle("refused", visit.isRefused);
  by("message").placeholder = say.placeholder;
  by("suggestions").replaceChildren(...say.suggestions.map((text) => button(text, () => ask(text))));
  if (state.chosen) trace(state.chosen);
}

async function ask(message) {
  const conversation = await visit.settled();
  if (!conversation) return; // Somebody else is there now.
  const card = addQuestion(message);
  reveal(card);
  await answer(card, conversation, message, crypto.randomUUID());
}

/** Ask the question of a failed turn once more, under its id, so that it stays one turn. */
async function askAgain(card, message, messageId) {
  card.classList.remove("failed");
  card.replaceChildren(element("p", { text: "…" }));
  by("message").focus();
  const conversation = await visit.settled();
  if (conversation) await answer(card, conversation, message, messageId);
}

/** Ask, and have the card say what comes. */
async function answer(card, conversation, message, messageId) {
  const text = card.firstElementChild;
  let heard = "";
  const hear = (piece) => follow(card, () => { text.textContent = heard += piece; });
  try {
    const reply = await conversation.ask(message, hear, messageId);
    if (!card.isConnected) return; // Somebody else is there now.
    follow(card, () => show(card, reply));
    visit.keep(message, reply);
  } catch (error) {
    if (card.isConnected) follow(card, () => fail(card, error, message, messageId));
  }
}

/** @returns the card of its answer */
function addQuestion(message) {
  const card = element("li", { className: "answer" }, element("p", { text: "…" }));
  by("turns").append(element("li", { text: message, className: "question" }), card);
  return card;
}

function show(card, reply) {
  state.tally.set(reply.source, (state.tally.get(reply.source) ?? 0) + 1);
  card.lang = reply.answer.locale;
  card.replaceChildren(...rendered(reply));
  card.addEventListener("click", () => choose(card, reply));
  choose(card, reply);
}

function fail(card, error, message, messageId) {
  const say = wordings[state.locale];
  card.classList.add("failed");
  if (!(error instanceof Refused)) {
    const why = error instanceof Problem ? error.message : say.unreachable;
    const again = button(say.tryAgain, () => askAgain(card, message, messageId));
    card.replaceChildren(element("p", { text: why }), element("footer", {}, again));
    return;
  }
  // It was not taken: it can be asked again once that is settled.
  by("message").value ||= message;
  for (const part of [card, card.previousElementSibling]) part.classList.add("refused");
  const ways = element("footer", {}, button(say.signInAgain, askForToken), button(say.asGuest, goOnAsGuest));
  card.replaceChildren(element("p", { text: say.tokenRefused }), ways);
}

/** What a guest was told, as this tab keeps it. */
function addTold(turns) {
  for (const { question, reply, at } of turns) {
    const ageSeconds = reply.age_seconds + (Date.now() - at) / 1000;
    show(addQuestion(question), { ...reply, age_seconds: ageSeconds });
  }
  toEnd();
}

/** The turns of the session as the server keeps them. */
function addPast(turns) {
  turns.forEach(addPreview);
  toEnd();
}

/** A turn with the beginning of its answer. */
function addPreview({ question, answer_preview: preview, at }) {
  const isCut = [...preview].length >= PREVIEW_CHARS;
  const card = addQuestion(question);
  card.classList.add("past");
  card.replaceChildren(
    element("p", { text: preview ? preview + (isCut ? "…" : "") : wordings[state.locale].unanswered }),
    element("footer", {}, element("time", { text: new Date(at).toLocaleString(state.locale) })),
  );
}

function rendered(reply) {
  const { answer } = reply;
  const titles = answer.items.map((title) => item(title, answer.locale));
  const items = titles.length ? [element("ul", { className: "items" }, ...titles)] : [];
  const footer = element("footer", {},
    element("span", { text: reply.source, className: "badge", data: { source: reply.source } }),
    element("span", { text: ago(reply.age_seconds) }),
  );
  return [element("p", { text: answer.text }), ...items, footer];
}

/** A title in the language of its answer. */
function item(title, locale) {
  const its = (what) => (locale === "ja" ? (title[`${what}_ja`] ?? title[what]) : title[what]);
  const below = [its("authors")?.join(locale === "ja" ? "、" : ", "), title.published_from, its("genres")?.slice(0, 3).join("\u00a0· ")];
  return element("li", {}, element("b", { text: its("title") }), element("span", { text: below.filter(Boolean).join("\u00a0/ ") }));
}

function ago(seconds) {
  const say = wordings[state.locale];
  return seconds < 90 ? `${Math.round(seconds)} ${say.seconds}` : `${Math.round(seconds / 60)} ${say.minutes}`;
}

function choose(card, reply) {
  document.querySelector(".answer.chosen")?.classList.remove("chosen");
  card.classList.add("chosen");
  state.chosen = reply;
  trace(reply);
}

/** Show where an answer came from and what took how long. */
function trace(reply) {
  const say = wordings[state.locale];
  const inMs = (number) => `${number.toFixed(number < 10 ? 2 : 0)} ${say.ms}`;
  by("trace-none").hidden = true;
  const facts = [
    [say.source, reply.source], [say.age, ago(reply.age_seconds)],
    ...(reply.rung ? [[say.rung, reply.rung]] : []),
    ...(reply.firstMs === null ? [] : [[say.first, inMs(reply.firstMs)]]),
    [say.seen, inMs(reply.tripMs)], [say.event, reply.event_id],
  ];
  by("facts").replaceChildren(...facts.flatMap(([name, text]) => [element("dt", { text: name }), element("dd", { text })]));
  const longest = Math.max(...reply.segments.map(([, ms]) => ms), 0.001);
  by("segments").replaceChildren(...reply.segments.map(([name, ms]) => {
    const meter = element("meter");
    Object.assign(meter, { min: 0, max: longest, value: ms });
    return element("li", {}, element("span", { text: name }), meter, element("output", { text: inMs(ms) }));
  }));
  by("sources").replaceChildren(...[...state.tally].map(([source, count]) =>
    element("li", {}, element("span", { text: source }), element("span", { text: String(count) }))));
}

by("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const message = by("message").value.trim();
  by("message").value = "";
  if (message) ask(message);
});
by("locale").addEventListener("click", () => {
  state.locale = wordings[state.locale].otherLocale;
  speak();
});
by("sign-in").addEventListener("click", () => {
  if (visit.conversation.token && !visit.isRefused) visit.signOut();
  else askForToken();
});
onToken(() => wordings[state.locale], (token) => {
  visit.signIn(token);
  by("message").focus();
});

// A token in the fragment never reaches a server's log; it leaves the address bar at once.
const handed = new URLSearchParams(location.hash.slice(1)).get("token");
if (handed) history.replaceState(null, "", location.pathname);
const before = recall();
visit.resume(handed ?? before.token ?? "", before);
by("message").focus();
