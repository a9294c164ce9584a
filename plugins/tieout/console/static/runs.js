// Runs and their proof: extracted = delivered or posted + held + duplicate + excluded, by count and by money.

import { airflow } from "./api.js";
import { h } from "./dom.js";
import { count, counted, isZero, money, moment, negative, span, sumTotals } from "./format.js";
import { INSTANCE_FIELDS } from "./filters.js";
import { airflowLink, airflowPath, dagOf, route } from "./links.js";
import { ListView, startOfDay } from "./list.js";
import { empty, instanceName, table, totals, when } from "./show.js";
import { badge, spoken, stateBadge } from "./words.js";

const FIELDS = [
  ...INSTANCE_FIELDS,
  { name: "entity", label: "Entity", kind: "text" },
  { name: "status", label: "Status", kind: "select", options: ["running", "extracted", "prepared", "delivered", "success", "dry_run", "failed"] },
  { name: "since", label: "Begun since", kind: "date" },
  { name: "run_id", label: "Run", kind: "text" },
  { name: "ties_out", label: "Only what does not tie out", kind: "check", value: "false" },
];

const COLUMNS = [
  { label: "Entity", head: true },
  { label: "Extracted", class: "figures" },
  { label: "= Delivered or posted", class: "figures" },
  { label: "+ Held", class: "figures" },
  { label: "+ Duplicate", class: "figures" },
  { label: "+ Excluded", class: "figures" },
  { label: "Ties out" },
];

export class Runs extends ListView {
  constructor(page) {
    const intro = "Every record that was extracted ends in exactly one place, and the money with it.";
    super({ name: "runs", title: "Runs", intro, fields: FIELDS, noun: ["run of an entity", "runs of entities"] }, page);
  }

  query(parameters) {
    const query = super.query(parameters);
    return { ...query, since: query.since ? startOfDay(query.since) : "" };
  }

  rows(items) {
    const groups = new Map();
    for (const row of items) {
      const key = JSON.stringify([row.integration, row.instance, row.run_id]);
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    return [...groups.values()].map((rows) => runSection(rows));
  }

  nothing(filtered) {
    if (filtered) return empty("No runs", "No run is like this. Take a filter away, or press Clear.");
    return empty("No runs yet", "Press Trigger on an integration's page in Airflow, or run ",
      h("code", {}, "bin/airflow dags test sap_b1_to_peakflo"), ".");
  }
}

function runSection(rows) {
  const [first] = rows;
  const here = { integration: first.integration, instance: first.instance, run_id: first.run_id };
  const path = first.airflow_url ?? airflowPath(dagOf(first), first.run_id);
  return h("section", { class: "run" },
    h("h2", {}, instanceName(first), " ", h("a", { class: "run-id", href: route("runs", here) }, first.run_id)),
    h("p", { class: "run-facts" },
      "Begun ", when(first.started_at), duration(rows), " · ", spoken(first.mode), interval(first), " · ",
      airflowLink(path, "Run in Airflow"), " · ",
      h("a", { href: route("files", here) }, "Files"), " · ", h("a", { href: route("held", here) }, "Held")),
    table({ caption: `Run ${first.run_id}`, columns: COLUMNS, rows: [...rows].reverse().map(entityRow) }),
    taskLogs(first));
}

function duration(rows) {
  if (rows.some((row) => !row.ended_at)) return ", not ended";
  const begun = Math.min(...rows.map((row) => Date.parse(row.started_at)));
  const ended = Math.max(...rows.map((row) => Date.parse(row.ended_at)));
  return `, took ${ended - begun < 60_000 ? counted(Math.max(1, Math.round((ended - begun) / 1000)), "second") : span(ended - begun)}`;
}

function interval(row) {
  if (!row.interval_start || !row.interval_end) return null;
  return ` · of ${moment(row.interval_start)} to ${moment(row.interval_end)}`;
}

function entityRow(row) {
  return {
    key: row.entity,
    class: row.ties_out ? null : row.ended_at ? "untied" : null,
    cells: [
      h("span", {}, spoken(row.entity)),
      place(row.extracted, row.source_totals),
      sent(row),
      place(row.held, row.held_totals),
      place(row.duplicate, row.duplicate_totals),
      place(row.excluded, row.excluded_totals),
      verdict(row),
    ],
  };
}

function place(number, money) {
  return [h("span", { class: "number" }, count(number)), totals(money)];
}

function sent(row) {
  if (row.status === "dry_run") {
    return [h("span", { class: "number" }, count(row.previewed)), h("span", { class: "sub" }, "would be sent (dry run)")];
  }
  const number = (row.delivered ?? 0) + (row.posted ?? 0);
  const word = row.posted && row.delivered ? `${count(row.delivered)} delivered, ${count(row.posted)} posted`
    : row.posted ? "posted" : row.delivered ? "delivered" : null;
  return [h("span", { class: "number" }, count(number)), totals(row.target_totals), word ? h("span", { class: "sub" }, word) : null];
}

function verdict(row) {
  const said = row.message ? h("p", { class: "said" }, row.message) : null;
  if (row.ties_out) return [badge("✔ Ties out", "good"), said];
  if (!row.ended_at) return [stateBadge(row.status), h("span", { class: "sub" }, "not ended, no verdict yet")];
  return [badge("✘ Does not tie out", "bad"), h("ul", { class: "differences" }, differences(row).map((each) => h("li", {}, each))), said];
}

/** What is missing or too much, in words. */
export function differences(row) {
  const placed = ["delivered", "posted", "held", "duplicate", "excluded", "previewed"]
    .reduce((sum, name) => sum + Number(row[name] ?? 0), 0);
  const records = Number(row.extracted) - placed;
  const minus = (totals) => Object.fromEntries(Object.entries(totals ?? {}).map(([currency, text]) => [currency, negative(text)]));
  const open = sumTotals([row.source_totals, ...["target", "held", "duplicate", "excluded"].map((name) => minus(row[`${name}_totals`]))]);
  const found = [];
  if (records > 0) found.push(`${counted(records, "record")} of those extracted ended nowhere.`);
  if (records < 0) found.push(`${counted(-records, "record")} more than were extracted.`);
  for (const [currency, text] of Object.entries(open)) {
    if (isZero(text) || row.status === "dry_run") continue;
    if (text.startsWith("-")) found.push(`${money(negative(text), currency)} more than was extracted.`);
    else found.push(`${money(text, currency)} of what was extracted is missing.`);
  }
  return found.length ? found : ["Counts and money agree, but the run did not end well."];
}

function taskLogs(row) {
  const content = h("div", {}, "Asking Airflow …");
  const details = h("details", { class: "tasks" }, h("summary", {}, "Task logs"), content);
  let asked = false;
  details.addEventListener("toggle", async () => {
    if (!details.open || asked) return;
    asked = true;
    content.replaceChildren(await tasksOf(row));
  });
  return details;
}

async function tasksOf(row) {
  const dagId = dagOf(row);
  const path = `dags/${encodeURIComponent(dagId)}/dagRuns/${encodeURIComponent(row.run_id)}/taskInstances?limit=100&order_by=start_date`;
  try {
    const { task_instances: tasks } = await airflow(path);
    if (!tasks.length) return h("p", {}, "Airflow has no tasks of this run.");
    return h("ul", { class: "task-list" }, tasks.map((task) => h("li", {},
      airflowLink(airflowPath(dagId, row.run_id, task), taskName(task)), " ", badge(spoken(task.state ?? "not started"), TASK_KINDS[task.state] ?? "plain"))));
  } catch (error) {
    const reason = error.status === 404 ? "Airflow does not know this run any more, so its logs are gone from there." : error.message;
    return h("p", {}, reason);
  }
}

const TASK_KINDS = { success: "good", failed: "bad", upstream_failed: "bad", running: "wait", up_for_retry: "warn" };

function taskName(task) {
  const mapped = task.rendered_map_index ?? (task.map_index >= 0 ? String(task.map_index) : "");
  return mapped ? `${task.task_id} (${mapped})` : task.task_id;
}

