// The story of one record: source → checks → mapping → file or books → receipt → acknowledgement.

import { Refused, get } from "./api.js";
import { announce, breakable, freshId, h } from "./dom.js";
import { bytes, count, counted } from "./format.js";
import { historyTable } from "./history.js";
import { airflowLink, airflowPath, dagOf, route, traceRoute } from "./links.js";
import { digest, empty, facts, instanceName, table, totals, when } from "./show.js";
import { acknowledgementOf, badge, spoken, stateBadge, verificationOf } from "./words.js";

const MOST_FINDINGS = 20;

export class Trace {
  constructor(page) {
    this.page = page;
    this.title = "Trace";
    const id = freshId("trace");
    this.input = h("input", { id, type: "search", name: "key", autocomplete: "off", "aria-keyshortcuts": "/", "aria-describedby": `${id}-note` });
    const form = h("form", { class: "filters", role: "search", onsubmit: (event) => {
      event.preventDefault();
      const key = this.input.value.trim();
      if (key) location.hash = traceRoute(key);
    } }, h("div", { class: "field search wide" }, h("label", { for: id }, "Record or file"), this.input),
    h("button", { type: "submit", class: "primary" }, "Trace"),
    h("p", { class: "hint", id: `${id}-note` }, "A source key, an invoice number, a file name or path, a posting key, a journal entry's number, or a held record's number: the whole of it."));
    this.results = h("section", { class: "results", "aria-label": "What is known" });
    this.element = h("div", {}, h("h1", { tabindex: "-1" }, "Trace a record"), form, this.results);
  }

  async load({ rest: key }, signal) {
    this.input.value = key;
    if (!key) {
      this.results.replaceChildren(empty("Where is it?", "Type a record's or a file's name above: its whole story is shown, from the source to the receiver's acknowledgement."));
      return;
    }
    this.page.setTitle(`Trace ${key}`);
    let story;
    try {
      story = await get(`trace/${encodeURIComponent(key)}`, {}, signal);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
      this.results.replaceChildren(empty(`Nothing is known of “${key}”`, "Give the whole key or number, with capital letters as they are. What no run has read yet is not known here."));
      announce("Nothing found.");
      return;
    }
    const { records = [], files = [] } = story;
    this.results.replaceChildren(
      ...records.map(recordStory),
      ...files.map(fileStory),
      ...(story.lines_left_out ? [h("p", { class: "hint" }, `${counted(story.lines_left_out, "more line")} of files have this name; give the source key to see one of them.`)] : []));
    announce(`${counted(records.length, "record")} and ${counted(files.length, "file")} found.`);
  }
}

function recordStory(record) {
  const label = record.delivered?.label || record.held?.[0]?.label || record.postings?.[0]?.label || "";
  return h("article", { class: "story" },
    h("h2", {}, `${spoken(record.entity)} ${label || record.source_key}`, " ", outcome(record)),
    facts([["Integration", instanceName(record)], ["Source key", h("code", {}, record.source_key)], ["Number", label]]),
    h("ol", { class: "steps" },
      step("Source", sourceStep(record)),
      step("Checks", checksStep(record)),
      step("Mapping", mappingStep(record)),
      step(record.postings?.length ? "Posting" : "File", [postings(record.postings), places(record)]),
      step("Every attempt, in order of time", [attempts(record), auditTrail(record)])));
}

const ATTEMPTS = [{ label: "When", head: true }, { label: "Outcome" }, { label: "Why" }, { label: "Run" }, { label: "Logs" }];

function attempts(record) {
  const made = record.attempts ?? [];
  if (!made.length) return h("p", { class: "muted" }, "No attempt is known.");
  const run = (each) => route("runs", { integration: record.integration, instance: record.instance, run_id: each.run_id });
  return table({
    caption: "Attempts",
    columns: ATTEMPTS,
    rows: made.map((each) => ({ cells: [
      when(each.at),
      [stateBadge(each.outcome), each.held_id ? [" ", h("a", { href: `#/held/${each.held_id}` }, "held record")] : null],
      each.message || h("span", { class: "muted" }, "–"),
      each.run_id ? [h("a", { href: run(each), class: "run-id" }, each.run_id), each.mode ? h("span", { class: "sub" }, spoken(each.mode)) : null] : "–",
      each.run_id ? airflowLink(airflowPath(dagOf(each.dag_id ? each : record), each.run_id), "Run in Airflow") : "–",
    ] })),
  });
}

function auditTrail(record) {
  return h("details", { class: "tasks" }, h("summary", {}, "The whole audit trail"), historyTable(record.events ?? [], record.integration, record.instance));
}

function step(title, content) {
  return h("li", {}, h("h3", {}, title), content);
}

function outcome(record) {
  const open = record.held?.find((row) => row.status === "held");
  if (open) return badge("held", "warn");
  if (record.postings?.some((row) => row.state === "done")) return badge("posted", "good");
  if (record.delivered) return badge("delivered", "good");
  if (record.held?.some((row) => row.status === "discarded")) return badge("discarded", "plain");
  return null;
}

function sourceStep(record) {
  const inbound = (record.files ?? []).filter((file) => file.kind === "inbound");
  const runs = record.runs ?? [];
  return [
    inbound.map((file) => h("p", {}, "From the file ", fileLink(file), byteRange(file), file.archive_path ? [", archived at ", h("code", {}, file.archive_path)] : null, ".")),
    runs.length ? h("p", {}, "Read by ", runs.map((run, index) => [index ? ", " : "",
      h("a", { class: "run-id", href: route("runs", { integration: run.integration, instance: run.instance, run_id: run.run_id }) }, run.run_id),
      " (", when(run.started_at), ")"]), ".") : inbound.length ? null : h("p", { class: "muted" }, "No run of it is known any more."),
  ];
}

function checksStep(record) {
  const held = record.held ?? [];
  // Each time that it was held is in the attempts below; here is what holds it, with what to do.
  const verdicts = (record.checks ?? []).filter((check) => check.check !== "held").map(verdict);
  const reasons = held.map((row) => h("li", {},
    stateBadge(row.status), " ", h("a", { href: `#/held/${row.id}` }, row.message), row.fix_hint ? h("span", { class: "fix" }, row.fix_hint) : null));
  if (!verdicts.length && !reasons.length) return h("p", {}, "Passed all checks: it was never held.");
  return h("ul", {}, verdicts, reasons, reasons.length ? null : h("li", {}, "It was never held."));
}

function verdict(check) {
  const good = /^(pass|valid|success|ok)/i.test(check.verdict);
  return h("li", {}, badge(spoken(check.verdict || "checked"), good ? "good" : "warn"), " ", spoken(check.check), ", ", when(check.at),
    check.message ? `: ${check.message}` : "",
    check.findings?.length ? h("ul", {}, check.findings.slice(0, MOST_FINDINGS).map((finding) => h("li", {}, findingText(finding)))) : null);
}

function findingText(finding) {
  if (typeof finding !== "object" || finding === null) return String(finding);
  const said = finding.meaning ?? finding.message ?? finding.text;
  return said === undefined ? JSON.stringify(finding) : `${(finding.columns ?? []).join(", ")}${finding.columns?.length ? ": " : ""}${said}`;
}

const MAPPING = [
  { label: "Column or position", head: true, class: "target" },
  { label: "Value", class: "written" },
  { label: "From", class: "from" },
  { label: "How", class: "how" },
];

function mappingStep(record) {
  const rows = byTarget(record.columns ?? []);
  if (!rows.length) {
    const sent = record.delivered || record.postings?.length;
    return h("p", { class: "muted" }, sent ? "No mapping file tells of this file." : "Nothing was written for it so far.");
  }
  const kept = record.columns.some((column) => column.value !== null && column.value !== undefined);
  return [
    kept ? null : h("p", { class: "hint" }, "The bytes that were written are not kept here any more; the mapping is shown as it is today."),
    table({ caption: "Mapping, column by column", columns: MAPPING, rows }),
  ];
}

/** A row for each target, with all that it was made from. */
function byTarget(columns) {
  const targets = new Map();
  for (const column of columns) targets.set(column.target, [...(targets.get(column.target) ?? []), column]);
  const lines = (parts, name) => [...new Set(parts.map((part) => part[name]).filter(Boolean))];
  return [...targets].map(([target, parts]) => ({
    key: target,
    cells: [
      h("code", {}, breakable(target)),
      parts[0].value ?? h("span", { class: "muted" }, "–"),
      lines(parts, "source").map((source) => h("div", {}, h("code", {}, breakable(source)))),
      lines(parts, "transformation").map((transformation) => h("div", {}, transformation)),
    ],
  }));
}

function postings(rows = []) {
  return rows.map((row) => h("div", { class: "card" },
    h("p", {}, stateBadge(row.state), " ", spoken(row.kind), row.target_number || row.target_key ? [" ", h("strong", {}, row.target_number ?? row.target_key)] : null),
    facts([
      ["Posting key", h("code", {}, row.posting_key)],
      ["Amount", row.currency && row.amount != null ? totals({ [row.currency]: row.amount }) : null],
      ["Revision", count(row.revision)],
      ["Sent", row.sent_at ? when(row.sent_at) : null],
      ["Seen in the books", row.settled_at ? when(row.settled_at) : null],
      ["Times sent", count(row.attempts)],
      ["Answer", [row.code, row.message].filter(Boolean).join(": ") || null],
    ])));
}

function places(record) {
  const sent = (record.files ?? []).filter((file) => file.kind !== "inbound");
  if (!sent.length) return record.postings?.length ? null : h("p", { class: "muted" }, "It is in no file so far.");
  return sent.map((file) => h("div", { class: "card" },
    h("p", {}, stateBadge(file.status), " ", fileLink(file)),
    facts([["Place in the file", placeOf(file, record)], ...receipt(file), ["Bytes", file.kept === false ? "not kept here any more" : null]]),
    excerpt(file, record)));
}

function excerpt(file, record) {
  const text = record.position?.file_id === file.file_id ? record.position.excerpt : null;
  return text ? h("div", { class: "payload" }, h("pre", { tabindex: "0", "aria-label": `The record in ${file.file_name}` }, text)) : null;
}

function placeOf(file, record) {
  const position = record.position?.file_id === file.file_id ? record.position : null;
  return [lineRange(position), byteRange(file), segments(position)];
}

function lineRange(position) {
  if (!position?.first_line) return null;
  const { first_line: first, last_line: last } = position;
  return first === last ? `line ${count(first)}, ` : `lines ${count(first)} to ${count(last)}, `;
}

function segments(position) {
  if (!position?.segments?.length) return null;
  return h("span", { class: "sub" }, "segments ", position.segments.map(({ number, id }) => (number ? `${id} (${number})` : id)).join(", "));
}

function byteRange(file) {
  if (file.byte_start === undefined || file.byte_start === null) return null;
  return ` bytes ${count(file.byte_start)} to ${count(file.byte_end)}`;
}

function receipt(file) {
  const answer = file.answer;
  return [
    ["Verified", file.status === "delivered" || file.verification ? verificationOf(file.verification) : null],
    ["Delivered", file.delivered_at ? when(file.delivered_at) : null],
    ["Size", `${bytes(file.bytes)}, ${counted(file.records, "record")}`],
    ["SHA-256", digest(file.sha256)],
    ["Acknowledged", [acknowledgementOf(file.acknowledgement ?? answer?.state),
      answer ? h("span", { class: "sub" }, `interchange ${answer.interchange}, group ${answer.group}${answer.ack_file ? `, by ${answer.ack_file}` : ""}`) : null]],
    ["Message", file.message],
  ];
}

function fileLink(file) {
  return h("a", { href: traceRoute(file.file_name), title: file.remote_path }, file.file_name);
}

function fileStory(file) {
  return h("article", { class: "story" },
    h("h2", {}, "File ", h("span", { class: "file-name" }, file.file_name), " ", stateBadge(file.status)),
    facts([
      ["Integration", instanceName(file)], ["Path", h("code", {}, file.remote_path)],
      ["Archived", file.archive_path ? h("code", {}, file.archive_path) : null],
      ["Run", h("a", { class: "run-id", href: route("runs", { integration: file.integration, instance: file.instance, run_id: file.run_id }) }, file.run_id)],
      ...receipt(file),
      ["Control totals", controlTotals(file.control_totals)],
    ]),
    h("h3", {}, "History"),
    historyTable(file.events ?? [], file.integration, file.instance));
}

function controlTotals(values) {
  const known = Object.entries(values ?? {}).filter(([, value]) => typeof value === "string" || typeof value === "number");
  return known.length ? known.map(([name, value]) => h("div", {}, `${spoken(name)} ${value}`)) : null;
}
