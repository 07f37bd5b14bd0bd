// Making elements, and the page of one message that every state without data is.
/** An element: h("p", {class: "hint"}, "text", other). Attributes that are null are left out. */
export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((each) => each !== null));
  return made;
}

/** Put a title, a sentence and what can be done next onto the page. `actions`: [text, function or address]. */
export function message(title, text, actions = []) {
  document.title = `${title} – Croissance`;
  show(
    h("section", { class: "message" }, h("h1", {}, title), h("p", {}, text),
      h("p", { class: "actions" }, actions.map(([words, what], index) => action(words, what, index === 0)))),
  );
}

/** Show that something is being waited for. */
export function busy(text) {
  const place = document.getElementById("page");
  place.setAttribute("aria-busy", "true");
  place.replaceChildren(h("p", { class: "busy", role: "status" }, h("span", { class: "ring", "aria-hidden": "true" }), text));
}

/** Replace the page's content. */
export function show(...content) {
  const place = document.getElementById("page");
  place.setAttribute("aria-busy", "false");
  place.replaceChildren(...content.flat().filter((each) => each !== null));
}

/** A link or button. */
export function action(words, what, main = false) {
  const look = main ? "button main" : "button";
  if (typeof what === "string") return h("a", { class: look, href: what }, words);
  return h("button", { class: look, type: "button", onclick: what }, words);
}
