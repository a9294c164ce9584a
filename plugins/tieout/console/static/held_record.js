// One held record: why, what can be done, its original bytes and its history.

import { askDiscard, askReplay } from "./actions.js";
import { get } from "./api.js";
import { h } from "./dom.js";
import { count } from "./format.js";
import { NO_RIGHT } from "./held.js";
import { airflowLink, airflowPath, dagOf, route, traceRoute } from "./links.js";
import { historyTable } from "./history.js";
import { pretty } from "./payload.js";
import { Selection } from "./selection.js";
import { facts, instanceName, totals, when } from "./show.js";
import { spoken, stateBadge } from "./words.js";

export class HeldRecord {
  constructor(page) {
    this.page = page;
    this.title = "Held record";
    this.heading = h("h1", { tabindex: "-1" }, "Held record");
    this.results = h("div", { class: "results" });
    this.element = h("div", {}, h("p", { class: "back" }, h("a", { href: "#/held?status=held" }, "← Held records")), this.heading, this.results);
  }

  async load({ rest }, signal) {
    const [me, row] = await Promise.all([this.page.me(), get(`held/${encodeURIComponent(rest)}`, {}, signal)]);
    this.heading.textContent = `${spoken(row.entity)} ${row.label || row.source_key}`;
    this.page.setTitle(this.heading.textContent);
    const focused = this.results.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.results.replaceChildren(
      h("section", { class: "card reason" },
        h("p", { class: "why" }, row.message), row.fix_hint ? h("p", { class: "fix" }, row.fix_hint) : null,
        this.tools(row, me)),
      recordFacts(row),
      h("h2", {}, "Original record"),
      payload(row),
      h("h2", {}, "History"),
      historyTable(row.history ?? [], row.integration, row.instance));
    if (focused) [...this.results.querySelectorAll("button")].find((each) => each.textContent === focused)?.focus();
  }

  tools(row, me) {
    if (row.status !== "held") return closed(row);
    if (me.may_trigger !== null && !me.may_trigger.includes(dagOf(row))) return h("p", { class: "hint" }, NO_RIGHT);
    const selection = new Selection();
    selection.set(row.id, true);
    const changed = () => this.page.refresh({ quietly: true });
    return h("p", { class: "toolbar" },
      h("button", { type: "button", class: "primary", onclick: () => askReplay(selection, this.page, changed, changed) }, "Replay …"),
      h("button", { type: "button", onclick: () => askDiscard(selection, changed, changed) }, "Discard …"));
  }
}

function closed(row) {
  const by = row.closed_by ? ` by ${row.closed_by}` : "";
  return h("p", {}, stateBadge(row.status), " ", when(row.closed_at), by, row.closed_why ? `: ${row.closed_why}` : ".");
}

function recordFacts(row) {
  const run = { integration: row.integration, instance: row.instance, run_id: row.run_id };
  return facts([
    ["Status", stateBadge(row.status)],
    ["Integration", instanceName(row)],
    ["Amount", row.currency && row.amount != null ? totals({ [row.currency]: row.amount }) : "not known"],
    ["Owner", row.owner],
    ["Source key", h("a", { href: traceRoute(row.source_key) }, row.source_key)],
    ["First seen", when(row.first_seen)],
    ["Last seen", when(row.last_seen)],
    ["Attempts", count(row.attempts)],
    ["Last run", [h("a", { href: route("runs", run) }, row.run_id), " (", airflowLink(airflowPath(dagOf(row), row.run_id), "in Airflow"), ")"]],
    ["Reason code", h("code", {}, row.reason_code)],
    ["Everything about it", h("a", { href: traceRoute(row.source_key) }, "Trace")],
  ]);
}

function payload(row) {
  if (row.payload === undefined || row.payload === "") return h("p", { class: "muted" }, "Its bytes were not kept.");
  const text = row.payload_encoding === "base64" ? row.payload : pretty(row.payload, row.content_type ?? "");
  const note = row.payload_encoding === "base64" ? `${row.content_type}, no text; in base64:` : row.content_type;
  return h("div", { class: "payload" }, h("p", { class: "hint" }, note), h("pre", { tabindex: "0", "aria-label": "Original record" }, text));
}
