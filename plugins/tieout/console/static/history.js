// Events of the audit trail, as a table in words.

import { h } from "./dom.js";
import { route } from "./links.js";
import { table, when } from "./show.js";
import { spoken } from "./words.js";

const COLUMNS = [{ label: "When", head: true }, { label: "What" }, { label: "Detail" }, { label: "Run" }];

/** The events, in the order given. */
export function historyTable(events, integration, instance) {
  if (!events.length) return h("p", { class: "muted" }, "Nothing is noted.");
  return table({
    caption: "History",
    columns: COLUMNS,
    rows: events.map((event) => ({
      cells: [when(event.at), spoken(event.what), detail(event.detail),
        event.run_id ? h("a", { href: route("runs", { integration, instance, run_id: event.run_id }), class: "run-id" }, event.run_id) : "–"],
    })),
  });
}

// What machines compare, not people.
const LEFT_OUT = new Set(["payload_sha256", "reason_code", "fingerprint", "posting_id", "body_sha256", "identity"]);

function detail(values) {
  const known = Object.entries(values ?? {}).filter(([name, value]) => !LEFT_OUT.has(name) && value !== null && value !== "");
  return h("div", { class: "detail" }, known.map(([name, value]) =>
    h("span", {}, name === "message" ? null : h("span", { class: "muted" }, `${spoken(name)}: `), said(value))));
}

function said(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
