// Small pieces that every view is made of.

import { h } from "./dom.js";
import { amount, distance, moment, momentElsewhere } from "./format.js";
import { titleOf } from "./words.js";

/** A moment, with other time zones and the distance at hand. */
export function when(iso, zone = "UTC", { relative = false } = {}) {
  if (!iso) return h("span", { class: "muted" }, "–");
  const title = `${relative ? moment(iso) : distance(iso)}; ${momentElsewhere(iso, zone)}`;
  return h("time", { datetime: iso, title }, relative ? distance(iso) : moment(iso));
}

/** Totals per currency, a line each. */
export function totals(byCurrency) {
  const rows = Object.entries(byCurrency ?? {}).sort();
  return rows.map(([currency, text]) =>
    h("span", { class: "money" }, h("span", { class: "currency" }, currency), " ", amount(text, currency)));
}

/** An integration and its instance. */
export function instanceName(row) {
  return [
    h("span", { class: "integration", title: row.integration }, titleOf(row.integration)),
    " ",
    h("span", { class: "instance" }, `(${row.instance})`),
  ];
}

/** A table whose rows become stacks of named values in a narrow window; roles keep it a table for screen readers. */
export function table({ caption, columns, rows, id = null }) {
  const cell = (column, content) =>
    h(column.head ? "th" : "td", {
      role: column.head ? "rowheader" : "cell",
      scope: column.head ? "row" : null,
      class: column.class ?? null,
      "data-label": typeof column.label === "string" ? column.label : (column.name ?? null),
    }, h("div", { class: "value" }, content));
  const headers = columns.map((column) =>
    h("th", { role: "columnheader", scope: "col", class: column.class ?? null }, column.label));
  return h("table", { role: "table", class: "rows", id },
    h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, headers)),
    h("tbody", { role: "rowgroup" }, rows.map((row) =>
      h("tr", { role: "row", class: row.class ?? null, "data-key": row.key ?? null },
        columns.map((column, index) => cell(column, row.cells[index]))))));
}

/** Names and values. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(
    ([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** What to say where there is nothing, and what to do first. */
export function empty(title, ...sentences) {
  return h("section", { class: "empty" }, h("h2", {}, title), sentences.map((sentence) => h("p", {}, sentence)));
}

/** A digest, short, with a button that copies all of it. */
export function digest(text) {
  if (!text) return h("span", { class: "muted" }, "–");
  return h("span", { class: "digest" },
    h("code", { title: text }, `${text.slice(0, 10)}…`),
    h("button", { type: "button", class: "small", "data-copy": text, "aria-label": `Copy the digest ${text.slice(0, 10)}…` },
      "Copy"));
}
