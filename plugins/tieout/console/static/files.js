// Files sent and collected: what they are, how far their delivery was verified, what the receiver said.

import { breakable, h } from "./dom.js";
import { bytes, count } from "./format.js";
import { INSTANCE_FIELDS } from "./filters.js";
import { route, traceRoute } from "./links.js";
import { ListView, startOfDay } from "./list.js";
import { digest, empty, instanceName, table, when } from "./show.js";
import { acknowledgementOf, spoken, stateBadge, verificationOf } from "./words.js";

const FIELDS = [
  { name: "q", label: "Search", kind: "search", placeholder: "name or path begins with, or a record" },
  ...INSTANCE_FIELDS,
  { name: "entity", label: "Entity", kind: "text" },
  { name: "status", label: "Status", kind: "select", options: ["prepared", "sending", "verified", "delivered", "refused", "abandoned", "collected", "settled", "archived", "left"] },
  { name: "since", label: "Prepared since", kind: "date" },
  { name: "run_id", label: "Run", kind: "text" },
];

const COLUMNS = [
  { label: "File", head: true, class: "name" },
  { label: "Partner", class: "partner" },
  { label: "Status" },
  { label: "Size", class: "figures" },
  { label: "Records", class: "figures" },
  { label: "Delivered" },
  { label: "Verified" },
  { label: "Acknowledged" },
  { label: "SHA-256" },
];

export class Files extends ListView {
  constructor(page) {
    const intro = "Each file that was sent, or collected from a source, with the proof of its delivery.";
    super({ name: "files", title: "Files", intro, fields: FIELDS, noun: ["file"] }, page);
  }

  query(parameters) {
    const query = super.query(parameters);
    return { ...query, since: query.since ? startOfDay(query.since) : "" };
  }

  rows(items) {
    return table({ caption: "Files", columns: COLUMNS, rows: items.map((row) => ({ key: row.file_name, cells: cells(row) })) });
  }

  nothing(filtered) {
    if (filtered) {
      return empty("No files", "No file is like this. The search looks at how a name or a path begins, capital letters included, and for whole keys and numbers of records.");
    }
    return empty("No files yet", "A run that has something to send leaves its files here. Press Trigger on an integration's page in Airflow.");
  }
}

function cells(row) {
  const here = { integration: row.integration, instance: row.instance, run_id: row.run_id };
  return [
    [h("span", { class: "file-name" }, breakable(row.file_name)), h("span", { class: "sub path" }, breakable(row.remote_path)),
      h("span", { class: "sub" }, h("a", { href: traceRoute(row.file_name) }, "Trace"), " · ", h("a", { href: route("runs", here) }, "Run"), download(row))],
    [h("span", {}, row.partner ?? row.instance), h("span", { class: "sub" }, spoken(row.entity)), h("span", { class: "sub" }, instanceName(row))],
    stateBadge(row.status),
    h("span", { title: `${count(row.bytes)} bytes` }, bytes(row.bytes)),
    count(row.records),
    when(row.delivered_at),
    row.verification || !(row.kind === "inbound" || row.status === "delivered") ? verificationOf(row.verification) : h("span", { class: "muted" }, "–"),
    acknowledgementOf(row.acknowledgement),
    digest(row.sha256),
  ];
}

function download(row) {
  if (!row.download_url) return null;
  return [" · ", h("a", { href: row.download_url, download: true, "aria-label": `Download ${row.file_name}` }, "Download")];
}
