// What of the turns is in view. A turn begins with its question, and its answer is the next sibling.

import { by } from "./elements.js";

/** Where a turn begins: with its answer, if the question leaves little room for that. */
function beginning(card) {
  const question = card.previousElementSibling;
  return question.offsetHeight > by("turns").clientHeight / 2 ? card : question;
}

/** Scroll to the end of a turn, but not past where it begins. */
export function reveal(card) {
  beginning(card).scrollIntoView({ block: "start" });
}

/** Change a turn and keep it in view, unless its reader has scrolled away from where it begins. */
export function follow(card, change) {
  const { top, bottom } = by("turns").getBoundingClientRect();
  const at = beginning(card).getBoundingClientRect().top;
  change();
  if (at >= top && at < bottom) reveal(card);
}

export function toEnd() {
  by("turns").scrollTop = by("turns").scrollHeight;
}
