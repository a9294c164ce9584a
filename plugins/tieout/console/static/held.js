// Held records: why, where to repair it, and what can be done with them.

import { askDiscard, askReplay } from "./actions.js";
import { announce, h } from "./dom.js";
import { count } from "./format.js";
import { INSTANCE_FIELDS } from "./filters.js";
import { dagOf } from "./links.js";
import { ListView, startOfDay } from "./list.js";
import { Selection } from "./selection.js";
import { empty, instanceName, table, totals, when } from "./show.js";
import { spoken, stateBadge } from "./words.js";

const FIELDS = [
  { name: "q", label: "Search", kind: "search", placeholder: "key or number begins with" },
  ...INSTANCE_FIELDS,
  { name: "entity", label: "Entity", kind: "text" },
  { name: "status", label: "Status", kind: "select", options: ["held", "settled", "discarded"] },
  { name: "since", label: "Seen since", kind: "date" },
  { name: "run_id", label: "Run", kind: "text" },
];

export const NO_RIGHT =
  "You may read this, but not replay or discard: that needs the right to trigger the integration's DAG in Airflow. An administrator of Airflow can give it.";

export class Held extends ListView {
  constructor(page) {
    const intro = "Records that could not be sent, with the reason, and where to repair it. Every scheduled run tries them again by itself.";
    super({ name: "held", title: "Held records", intro, fields: FIELDS, noun: ["held record"] }, page);
    this.selection = new Selection();
    this.asked = null;
    this.toolbar = h("div", { class: "toolbar", role: "group", "aria-label": "Replay or discard" });
    this.results.before(this.toolbar);
  }

  async load(route, signal) {
    this.me = await this.page.me();
    const asked = [...route.parameters].filter(([name]) => name !== "offset").join("&");
    if (asked !== this.asked) this.selection.clear();
    this.asked = asked;
    await super.load(route, signal);
  }

  query(parameters) {
    const query = super.query(parameters);
    return { ...query, since: query.since ? startOfDay(query.since) : "" };
  }

  rows(items, { parameters, total }) {
    this.open = items.filter((row) => row.status === "held" && this.may(row));
    this.whole = { filters: this.query(parameters), total, wanted: parameters.get("status") ?? "" };
    this.boxes = new Map(this.open.map((row) => [row.id, this.box(row)]));
    if (!this.every) this.makeTools();
    this.renew();
    const chosen = this.open.length ? [{ label: h("span", { class: "unseen" }, "Choose"), name: "Choose", class: "choose" }] : [];
    return table({
      caption: "Held records",
      columns: [...chosen, ...COLUMNS],
      rows: items.map((row) => ({ key: row.id, cells: [...(chosen.length ? [this.boxes.get(row.id) ?? null] : []), ...cells(row)] })),
    });
  }

  nothing(filtered) {
    this.open = [];
    this.toolbar.replaceChildren();
    if (filtered) {
      return empty("Nothing is held here", "No record is like this, which is good where you look for open ones. The search looks at how a key or a number begins, capital letters included.");
    }
    return empty("Nothing is held", "Every record that was read went where it belongs. A record that cannot be sent appears here, with the reason and where to repair it.");
  }

  may(row) {
    return this.me.may_trigger === null || this.me.may_trigger.includes(dagOf(row));
  }

  box(row) {
    const name = `Choose ${row.label || row.source_key} of ${spoken(row.entity)}`;
    return h("input", { type: "checkbox", "aria-label": name, "data-id": row.id, onchange: (event) => {
      this.selection.set(row.id, event.target.checked);
      this.renew();
    } });
  }

  chooseThisPage() {
    const chosen = this.every.checked;
    this.selection.whole = null;
    this.open.forEach((row) => this.selection.set(row.id, chosen));
    this.renew();
  }

  /** Make boxes and buttons say what is chosen. The buttons stay the same elements, so that the focus stays. */
  renew() {
    const { selection } = this;
    for (const [id, box] of this.boxes) {
      box.checked = selection.has(id);
      box.disabled = selection.whole !== null;
    }
    const here = this.open.filter((row) => selection.has(row.id)).length;
    this.every.checked = here > 0 && here === this.open.length;
    this.every.indeterminate = here > 0 && here < this.open.length;
    this.every.disabled = selection.whole !== null;
    this.showTools();
  }

  showTools() {
    if (this.me.may_trigger?.length === 0) {
      this.toolbar.replaceChildren(h("p", { class: "hint" }, NO_RIGHT));
      return;
    }
    if (!this.open.length) {
      this.toolbar.replaceChildren();
      return;
    }
    const { selection, whole, tools } = this;
    if (!tools.replay.isConnected) this.toolbar.replaceChildren(...Object.values(tools));
    const text = selection.whole ? `All ${count(selection.size)} open records of this filter are chosen` : `${count(selection.size)} chosen`;
    if (tools.chosen.textContent !== text) announce(text);
    tools.chosen.textContent = text;
    tools.replay.disabled = tools.discard.disabled = selection.size === 0;
    const canAll = whole.wanted === "held" && whole.total > this.open.length;
    tools.all.hidden = !canAll || selection.whole !== null;
    tools.all.textContent = `Choose all ${count(whole.total)} of this filter`;
    tools.none.hidden = selection.size === 0;
  }

  makeTools() {
    this.every = h("input", { type: "checkbox", onchange: () => this.chooseThisPage() });
    const page = h("label", { class: "every" }, this.every, "All of this page");
    const chosen = h("span", { class: "chosen" });
    const replay = h("button", { type: "button", class: "primary", onclick: () => askReplay(this.selection, this.page, () => this.acted(), () => this.changed()) }, "Replay …");
    const discard = h("button", { type: "button", onclick: () => askDiscard(this.selection, () => this.acted(), () => this.changed()) }, "Discard …");
    const all = h("button", { type: "button", class: "plain", onclick: () => {
      this.selection.chooseAll(this.whole.filters, this.whole.total);
      this.renew();
      none.focus();
    } });
    const none = h("button", { type: "button", class: "plain", onclick: () => {
      this.selection.clear();
      this.renew();
      this.every.focus();
    } }, "Choose none");
    this.tools = { page, chosen, replay, discard, all, none };
  }

  /** What was chosen is done with. */
  acted() {
    this.selection.clear();
    this.changed();
  }

  changed() {
    this.page.refresh({ quietly: true });
  }
}

const COLUMNS = [
  { label: "Record", head: true },
  { label: "Why, and where to repair it", class: "reason" },
  { label: "Amount", class: "figures" },
  { label: "Owner" },
  { label: "First seen" },
  { label: "Attempts", class: "figures" },
  { label: "Status" },
];

function cells(row) {
  return [
    [h("a", { href: `#/held/${row.id}`, class: "key" }, row.label || row.source_key),
      row.label && row.label !== row.source_key ? h("span", { class: "sub" }, `key ${row.source_key}`) : null,
      h("span", { class: "sub" }, spoken(row.entity), " · ", instanceName(row))],
    [h("span", { class: "why" }, row.message), row.fix_hint ? h("span", { class: "fix" }, row.fix_hint) : null],
    row.currency && row.amount != null ? totals({ [row.currency]: row.amount }) : h("span", { class: "muted" }, "–"),
    row.owner,
    when(row.first_seen),
    count(row.attempts),
    stateBadge(row.status),
  ];
}

