// Pages of a list, cut by the server.

import { h } from "./dom.js";
import { count } from "./format.js";
import { route } from "./links.js";

export const PAGE = 50;

/** Which rows the address asks for. */
export function pageOf(parameters) {
  const offset = Number.parseInt(parameters.get("offset") ?? "0", 10);
  return { limit: PAGE, offset: Number.isSafeInteger(offset) && offset > 0 ? offset : 0 };
}

/** Links to the pages before and after; nothing where all fits on one. */
export function pager(view, parameters, { offset }, shown, total) {
  if (total <= PAGE && offset === 0) return null;
  const others = Object.fromEntries([...parameters].filter(([name]) => name !== "offset"));
  const last = Math.max(0, Math.ceil(total / PAGE) - 1) * PAGE;
  const link = (text, to, there) =>
    there ? h("a", { class: "button", href: route(view, { ...others, offset: to || "" }) }, text)
      : h("span", { class: "button off", "aria-disabled": "true" }, text);
  return h("nav", { class: "pager", "aria-label": "Pages" },
    link("First", 0, offset > 0),
    link("Previous", Math.max(0, offset - PAGE), offset > 0),
    h("span", { class: "range" }, shown ? `${count(offset + 1)}–${count(offset + shown)} of ${count(total)}` : `0 of ${count(total)}`),
    link("Next", offset + PAGE, offset + shown < total && shown > 0),
    link("Last", last, offset < last));
}
