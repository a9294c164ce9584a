// Messages about what was asked for, above every view; they stay until they are closed.

import { h } from "./dom.js";

/** A message; gives what replaces its content. */
export function notice(kind, ...content) {
  const body = h("div", { class: "said" }, ...content);
  const close = h("button", { type: "button", class: "small", "aria-label": "Close this message" }, "Close");
  const element = h("div", { class: `notice ${kind}` }, body, close);
  close.addEventListener("click", () => {
    element.remove();
    document.getElementById("main").focus();
  });
  document.getElementById("notices").append(element);
  return (newKind, ...newContent) => {
    element.className = `notice ${newKind}`;
    body.replaceChildren(...newContent.flat(Infinity).filter(Boolean));
  };
}
