// The page: turns on the left, what is known of the chosen answer on the right.

import { Conversation, Problem } from "./conversation.js";
import { wordings } from "./wordings.js";

const TOKEN = "mangaassist-token";
const by = (id) => document.getElementById(id);

const state = {
  locale: navigator.language.startsWith("ja") ? "ja" : "en",
  conversation: null,
  chosen: null,
  tally: new Map(),
};

/** An element with text and children; text is never read as markup. */
function element(tag, { text = "", className = "", data = {} } = {}, ...children) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  Object.assign(made.dataset, data);
  made.append(...children);
  return made;
}

function start(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
  state.conversation?.close();
  state.conversation = new Conversation(crypto.randomUUID(), token);
  speak();
}

/** Put everything that the page says into its language. */
function speak() {
  const say = wordings[state.locale];
  const signedIn = Boolean(state.conversation.token);
  document.documentElement.lang = state.locale;
  const texts = {
    who: signedIn ? say.signedIn : say.guest, "sign-in": signedIn ? say.signOut : say.signIn,
    locale: say.other, send: say.send, "trace-title": say.trace, "trace-none": say.none,
    "turns-title": say.tally, "token-label": say.token, "token-cancel": say.cancel, "token-save": say.save,
  };
  for (const [id, text] of Object.entries(texts)) by(id).textContent = text;
  by("message").placeholder = say.placeholder;
  by("suggestions").replaceChildren(...say.suggestions.map((text) => {
    const button = element("button", { text });
    button.type = "button";
    button.addEventListener("click", () => ask(text));
    return button;
  }));
  if (state.chosen) trace(state.chosen);
}

async function ask(message) {
  add(element("li", { text: message, className: "question" }));
  const text = element("p", { text: "…" });
  const card = add(element("li", { className: "answer" }, text));
  let heard = "";
  try {
    const reply = await state.conversation.ask(message, (piece) => {
      text.textContent = heard += piece;
      card.scrollIntoView({ block: "end" });
    });
    state.tally.set(reply.source, (state.tally.get(reply.source) ?? 0) + 1);
    card.replaceChildren(...rendered(reply));
    card.addEventListener("click", () => choose(card, reply));
    choose(card, reply);
  } catch (error) {
    card.classList.add("failed");
    const why = error instanceof Problem ? error.message : wordings[state.locale].unreachable;
    card.replaceChildren(element("p", { text: why }));
  }
  card.scrollIntoView({ block: "end" });
}

function add(turn) {
  by("turns").append(turn);
  turn.scrollIntoView({ block: "end" });
  return turn;
}

function rendered(reply) {
  const { answer } = reply;
  const items = answer.items.length ? [element("ul", { className: "items" }, ...answer.items.map(item))] : [];
  const footer = element("footer", {},
    element("span", { text: reply.source, className: "badge", data: { source: reply.source } }),
    element("span", { text: ago(reply.age_seconds) }),
  );
  return [element("p", { text: answer.text }), ...items, footer];
}

function item(title) {
  const name = state.locale === "ja" ? (title.title_ja ?? title.title) : title.title;
  const below = [title.authors?.join(", "), title.published_from, title.genres?.slice(0, 3).join(" · ")];
  return element("li", {}, element("b", { text: name }), element("span", { text: below.filter(Boolean).join(" / ") }));
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
by("sign-in").addEventListener("click", () => (state.conversation.token ? start("") : by("token-dialog").showModal()));
by("token-dialog").addEventListener("close", () => {
  const token = by("token").value.trim();
  by("token").value = "";
  if (by("token-dialog").returnValue === "save" && token) start(token);
});

// A token in the fragment never reaches a server's log; it leaves the address bar at once.
const handed = new URLSearchParams(location.hash.slice(1)).get("token");
if (handed) history.replaceState(null, "", location.pathname);
start(handed ?? sessionStorage.getItem(TOKEN) ?? "");
by("message").focus();
