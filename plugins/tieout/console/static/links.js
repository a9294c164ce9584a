// Addresses: of this page's own views, and of Airflow's pages, also from inside Airflow's frame.

import { ROOT } from "./api.js";
import { h } from "./dom.js";

/** The part of the address after the #: "#/held?integration=…". */
export function route(view, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value != null));
  return `#/${view}${query.size ? `?${query}` : ""}`;
}

/** `{view, rest, parameters}` of an address's part after the #. */
export function parsed(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, ...rest] = path.split("/");
  return { view: view || "overview", rest: decoded(rest.join("/")), parameters: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A lone % that somebody typed.
  }
}

/** A link to the story of a record. */
export function traceRoute(key) {
  return `#/trace/${encodeURIComponent(key)}`;
}

/** The DAG of an instance. */
export function dagOf(row) {
  return row.dag_id ?? (row.instance === "default" ? row.integration : `${row.integration}__${row.instance}`);
}

/** The instance of a DAG. */
export function instanceOf(dagId) {
  const [integration, instance = "default"] = dagId.split(/__(.*)/s);
  return { integration, instance };
}

/** Airflow's page of a DAG, of one of its runs, or of a task of that run. */
export function airflowPath(dagId, runId = null, task = null) {
  const run = runId ? `/runs/${encodeURIComponent(runId)}` : "";
  const of = task ? `/tasks/${encodeURIComponent(task.task_id)}${task.map_index >= 0 ? `/mapped/${task.map_index}` : ""}` : "";
  return `${ROOT}dags/${encodeURIComponent(dagId)}${run}${of}`;
}

/** A link to a page of Airflow, given as a path or with its server. */
export function airflowLink(path, text, attributes = {}) {
  const address = new URL(path, location.href);
  if (!["http:", "https:"].includes(address.protocol)) return h("span", {}, text);
  return h("a", { href: address.href, target: "_top", onclick: leaveFrame, ...attributes }, text);
}

/** Airflow's frame may not navigate the window around it, but a link in that window may. */
export function leaveFrame(event) {
  if (window.parent === window) return;
  event.preventDefault();
  const outside = window.parent.document.createElement("a");
  outside.href = event.currentTarget.href;
  outside.click();
}

// Only the entry of the navigation: Airflow keeps no part of a DAG run's tab in its address.
const FRAMES = `${ROOT}plugin/`;

/** Where Airflow's window says to begin, as `/plugin/tieout#/held`. */
export function hashOfFrame() {
  return inAirflowsFrame() ? window.parent.location.hash : "";
}

/** Make Airflow's window say where this page is, so that its address can be kept and sent on. */
export function tellFrame() {
  if (!inAirflowsFrame()) return;
  const outside = window.parent;
  const [name] = outside.location.pathname.slice(FRAMES.length).split("/");
  const address = `${FRAMES}${name}${location.pathname}${location.search}${location.hash}`;
  outside.history.replaceState(outside.history.state, "", address);
}

function inAirflowsFrame() {
  try {
    return window.parent !== window && window.parent.location.pathname.startsWith(FRAMES);
  } catch {
    return false; // Somebody else's frame.
  }
}
