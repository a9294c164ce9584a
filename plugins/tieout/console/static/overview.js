// Each integration and instance: its last run, whether it ties out, what it sent and what it holds.

import { ROOT, Refused, get } from "./api.js";
import { chart } from "./chart.js";
import { needLook } from "./connections.js";
import { announce, h } from "./dom.js";
import { count, counted, distance, span } from "./format.js";
import { airflowLink, airflowPath, dagOf, route } from "./links.js";
import { empty, instanceName, table, totals, when } from "./show.js";
import { badge, spoken } from "./words.js";

const COLUMNS = [
  { label: "Integration", head: true },
  { label: "Last run" },
  { label: "Ties out" },
  { label: "Sent today", class: "figures" },
  { label: "Sent this month", class: "figures" },
  { label: "Held", class: "figures" },
  { label: "Next run" },
  { label: "30 days" },
];

export class Overview {
  constructor(page) {
    this.page = page;
    this.title = "Overview";
    this.results = h("section", { class: "results", "aria-label": "Integrations" });
    this.element = h("div", {}, h("h1", { tabindex: "-1" }, "Overview"), this.results);
  }

  async load(_route, signal) {
    const [{ items }, states] = await Promise.all([get("overview", {}, signal), connections(signal)]);
    this.results.replaceChildren(...(items.length ? [summary(items, states), this.rows(items)] : [nothingYet()]));
    announce(counted(items.length, "integration"));
  }

  rows(items) {
    return table({
      caption: "Integrations and instances",
      columns: COLUMNS,
      rows: items.map((row) => ({ key: dagOf(row), cells: cells(row) })),
    });
  }
}

/** How those connections are that need a look; empty for those who may not see them: the rest is shown all the same. */
async function connections(signal) {
  try {
    return needLook((await get("health", {}, signal)).items);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return [];
  }
}

function cells(row) {
  return [
    [airflowLink(airflowPath(dagOf(row)), instanceName(row)), row.paused ? [" ", badge("paused", "warn", "Airflow starts no run of it until somebody unpauses the DAG.")] : null],
    row.last_run ? lastRun(row) : neverRan(row),
    row.last_run ? tiesOut(row) : h("span", { class: "muted" }, "–"),
    sent(row.today),
    sent(row.month),
    held(row),
    nextRun(row),
    row.days?.length ? chart(row.days) : null,
  ];
}

function lastRun(row) {
  const run = row.last_run;
  const here = { integration: row.integration, instance: row.instance, run_id: run.run_id };
  return [
    h("a", { href: route("runs", here) }, when(run.started_at, row.timezone)),
    h("span", { class: "sub" }, `${distance(run.started_at)}, ${spoken(run.status)}`),
  ];
}

function neverRan(row) {
  const link = airflowLink(airflowPath(dagOf(row)), "Trigger it in Airflow");
  return [h("span", {}, "Has not run yet"), h("span", { class: "sub" }, link)];
}

function tiesOut(row) {
  const run = row.last_run;
  if (run.ties_out) return badge("✔ Ties out", "good");
  if (!run.ended_at) return badge("… Still running", "wait");
  return badge("✘ Does not tie out", "bad");
}

function sent(part) {
  const number = (part?.delivered ?? 0) + (part?.posted ?? 0);
  if (!number) return h("span", { class: "muted" }, "0");
  return [h("span", { class: "number" }, count(number)), totals(part.totals)];
}

function held(row) {
  if (!row.held) return h("span", { class: "muted" }, "0");
  const here = route("held", { integration: row.integration, instance: row.instance, status: "held" });
  const oldest = row.oldest_held;
  return [
    h("a", { href: here, class: "number" }, count(row.held)),
    oldest ? h("a", { class: "sub", href: `#/held/${oldest.id}` }, `oldest ${span(Date.now() - new Date(oldest.first_seen))}`) : null,
  ];
}

function nextRun(row) {
  if (row.paused === null) return h("span", { class: "muted" }, "Airflow has no such DAG");
  if (row.paused) return h("span", { class: "muted" }, "None while paused");
  if (!row.next_run) return h("span", { class: "muted" }, "Not scheduled");
  return [when(row.next_run, row.timezone), h("span", { class: "sub" }, distance(row.next_run))];
}

function summary(items, connectionStates) {
  const ran = items.filter((row) => row.last_run);
  const ended = ran.filter((row) => row.last_run.ended_at);
  const red = ended.filter((row) => !row.last_run.ties_out);
  const open = items.reduce((sum, row) => sum + row.held, 0);
  const oldest = items.map((row) => row.oldest_held?.first_seen).filter(Boolean).sort()[0];
  const today = items.reduce((sum, row) => sum + (row.today?.delivered ?? 0) + (row.today?.posted ?? 0), 0);
  return h("ul", { class: "tiles" },
    tile(red.length ? "bad" : ended.length ? "good" : "plain",
      ended.length ? `${count(ended.length - red.length)} of ${count(ended.length)}` : "–",
      red.length ? "tie out; the others need a look" : "tie out"),
    tile(open ? "warn" : "good", h("a", { href: route("held", { status: "held" }) }, count(open)), open === 1 ? "record held" : "records held"),
    tile("plain", oldest ? span(Date.now() - new Date(oldest)) : "–", "held longest"),
    tile("plain", count(today), "records sent today"),
    connectionStates.length ? connectionsTile(connectionStates) : null);
}

function connectionsTile(states) {
  const failed = states.filter((state) => state === "failed").length;
  return tile(failed ? "bad" : "warn", h("a", { href: route("connections") }, count(states.length)),
    `${states.length === 1 ? "connection needs" : "connections need"} a look${failed && failed < states.length ? `; ${count(failed)} failed` : ""}`);
}

function tile(kind, figure, text) {
  return h("li", { class: `tile ${kind}` }, h("span", { class: "figure" }, figure), " ", h("span", {}, text));
}

function nothingYet() {
  return empty("Nothing has run yet",
    ["Add an instance: a file in ", h("code", {}, "include/integrations/"), ", as docs/data-engineer.md shows. Its DAG then appears in Airflow."],
    ["Then open ", airflowLink(`${ROOT}dags`, "Airflow's list of DAGs"), " and press Trigger, or on the command line: ",
      h("code", {}, "bin/airflow dags test sap_b1_to_peakflo"), "."],
    ["To see everything at work with simulated systems: ", h("code", {}, "make demo"), "."]);
}
