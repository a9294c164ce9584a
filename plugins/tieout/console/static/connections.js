// Connections: can they be used, for how long yet, and what is to be done.

import { Refused, get } from "./api.js";
import { announce, breakable, h } from "./dom.js";
import { counted, distance } from "./format.js";
import { airflowLink, airflowPath, instanceOf } from "./links.js";
import { empty, instanceName, table, when } from "./show.js";
import { badge } from "./words.js";

const DAG = "connection_health";

// The checks of `bin/tieout check`, in its order, as docs/health.md explains them.
const CHECKS = {
  reachable: "Reachable",
  authenticated: "Log-in",
  readable: "Readable",
  host_key_pinned: "Host key",
  writable: "Writable",
  clock_skew: "Clock",
  session_life: "Session",
};
const AGES = {
  password_age: "Password",
  key_age: "Key",
  passphrase_age: "Passphrase",
  key_strength: "Key's strength",
  host_key_rotation: "Host keys",
  certificate: "Certificate",
};

const STATES = {
  failed: ["Failed", "bad"],
  warning: ["Warning", "warn"],
  unknown: ["Not checked", "plain"],
  ok: ["OK", "good"],
};
const WORST_FIRST = Object.keys(STATES);

const COLUMNS = [
  { label: "Connection", head: true, class: "connection" },
  { label: "Status" },
  { label: "Last looked at" },
  { label: "What was found", class: "reason" },
  { label: "Passwords, keys, certificate", class: "reason" },
  { label: "Used by", class: "used-by" },
];

export class Connections {
  constructor() {
    this.title = "Connections";
    this.results = h("section", { class: "results", "aria-label": "Connections" });
    this.element = h("div", {}, h("h1", { tabindex: "-1" }, "Connections"),
      h("p", { class: "intro" }, "How each connection was when the DAG ", healthDag(DAG), " last looked at it. To look now: ",
        h("code", {}, "bin/tieout check"), "."),
      this.results);
  }

  async load(_route, signal) {
    let items;
    try {
      ({ items } = await get("health", {}, signal));
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 403) throw error;
      this.results.replaceChildren(empty("You may not see the connections", error.message));
      announce(error.message);
      return;
    }
    this.results.replaceChildren(items.length ? rows(items) : neverLooked());
    announce(`${counted(items.length, "connection")}, ${needLook(items).length} of them not as they should be.`);
  }
}

/** The states, "failed" or "warning", of those connections on which somebody must act, now or soon. */
export function needLook(items) {
  return items.map(stateOf).filter((state) => state === "failed" || state === "warning");
}

function stateOf(row) {
  const found = [...Object.keys(CHECKS), ...Object.keys(AGES)].map((name) => row[name]);
  if (row.ok === false || found.includes("failed")) return "failed";
  if (found.includes("warning")) return "warning";
  const talked = [row.reachable, row.authenticated].some((status) => status === "ok");
  return talked ? "ok" : "unknown";
}

function rows(items) {
  const worst = (row) => WORST_FIRST.indexOf(stateOf(row));
  const sorted = [...items].sort((one, other) => worst(one) - worst(other) || one.label.localeCompare(other.label));
  return table({ caption: "Connections", columns: COLUMNS, rows: sorted.map((row) => ({ key: row.label, cells: cells(row) })) });
}

function cells(row) {
  const state = stateOf(row);
  return [
    [h("span", {}, breakable(row.connection ?? row.label)), row.server ? h("span", { class: "sub" }, breakable(row.server)) : null,
      row.type ? h("span", { class: "sub" }, row.type) : null],
    badge(...STATES[state]),
    [when(row.checked_at), h("span", { class: "sub" }, distance(row.checked_at))],
    [list(row, CHECKS), rest(row)],
    list(row, AGES) ?? h("span", { class: "muted" }, "–"),
    usedBy(row),
  ];
}

/** What there is to say of some checks, the worst first. */
function list(row, names) {
  const told = Object.keys(names).filter((name) => row.messages?.[name] || ["failed", "warning"].includes(row[name]));
  if (!told.length) return null;
  told.sort((one, other) => WORST_FIRST.indexOf(row[one]) - WORST_FIRST.indexOf(row[other]));
  return h("ul", { class: "plain-list" }, told.map((name) => h("li", {},
    row[name] === "ok" ? null : [badge(`${names[name]}: ${(STATES[row[name]] ?? STATES.unknown)[0].toLowerCase()}`, STATES[row[name]]?.[1]), " "],
    row.messages?.[name] ?? null)));
}

/** The checks without a sentence: what was well, and what could not be looked at. */
function rest(row) {
  const of = (status) => Object.keys(CHECKS).filter((name) => row[name] === status && !row.messages?.[name]).map((name) => CHECKS[name].toLowerCase());
  const [well, unknown] = [of("ok"), of("unknown")];
  return [
    well.length ? h("span", { class: "sub" }, `OK: ${well.join(", ")}`) : null,
    unknown.length ? h("span", { class: "sub" }, `Not checked: ${unknown.join(", ")}`) : null,
  ];
}

function usedBy(row) {
  if (!row.used_by?.length) return h("span", { class: "muted" }, "–");
  return h("ul", { class: "plain-list" }, row.used_by.map((dagId) => h("li", {}, airflowLink(airflowPath(dagId), instanceName(instanceOf(dagId))))));
}

function healthDag(text) {
  return airflowLink(airflowPath(DAG), text);
}

function neverLooked() {
  return empty("No connection was looked at yet",
    ["The DAG connection_health has not run. ", healthDag("Open it in Airflow"), " and press Trigger, or on the command line: ",
      h("code", {}, "bin/tieout check"), "."]);
}
