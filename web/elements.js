// How the page makes and finds its elements.

export const by = (id) => document.getElementById(id);

/** An element with text and children; text is never read as markup. */
export function element(tag, { text = "", className = "", data = {} } = {}, ...children) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  Object.assign(made.dataset, data);
  made.append(...children);
  return made;
}

export function button(text, act) {
  const made = element("button", { text });
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}
