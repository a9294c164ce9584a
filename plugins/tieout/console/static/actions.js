// Replaying and discarding held records: asked in a dialog that first shows what will happen.

import { post } from "./api.js";
import { freshId, h } from "./dom.js";
import { count, counted, money, sumTotals } from "./format.js";
import { airflowLink, airflowPath } from "./links.js";
import { notice } from "./notices.js";
import { watch } from "./pending.js";
import { instanceName, table, totals } from "./show.js";

const LARGEST_CHOICE = 1_000; // ids that one request may name
const SHOWN = 20;

/** Ask for a replay of the selection; `acted` is called when it was asked for, `changed` when rows may look different. */
export function askReplay(selection, page, acted, changed) {
  ask({
    title: `Replay ${counted(selection.size, "held record")}`,
    verb: "Replay",
    preview: async () => replayPreview(await replayed(selection, true), await page.instances().catch(() => [])),
    act: async () => replayed(selection, false),
    tell: (rows) => rows.forEach((row) => tellReplay(row, changed)),
    acted,
    changed,
  });
}

/** Ask for the selection to be given up, for a reason. */
export function askDiscard(selection, acted, changed) {
  const id = freshId("why");
  const why = h("textarea", { id, rows: "3", maxlength: "2000", required: true, "aria-describedby": `${id}-note` });
  ask({
    title: `Discard ${counted(selection.size, "held record")}`,
    verb: "Discard",
    kind: "danger",
    preview: async () => discardPreview(await discarded(selection, "preview", true)),
    fields: h("div", { class: "field" }, h("label", { for: id }, "Why (required)"), why,
      h("p", { class: "hint", id: `${id}-note` }, "The reason and your name go to the audit trail. Discarded records are never sent.")),
    checked: () => {
      if (why.value.trim()) return null;
      why.focus();
      return "Say why: the reason goes to the audit trail.";
    },
    act: async () => discarded(selection, why.value, false),
    tell: (answer) => tellDiscard(answer),
    acted,
    changed,
  });
}

/** The dialog: what will happen, then yes or no. */
function ask({ title, verb, kind = "", preview, fields = null, checked = () => null, act, tell, acted, changed }) {
  const heading = freshId("dialog");
  const content = h("div", { class: "preview", "aria-busy": "true" }, h("p", {}, "Asking the server what will happen …"));
  const problem = h("p", { class: "problem", role: "alert" });
  const confirm = h("button", { type: "submit", class: `primary ${kind}`, disabled: true }, verb);
  const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const form = h("form", { novalidate: true }, h("h2", { id: heading }, title), content, fields, problem, h("p", { class: "buttons" }, confirm, cancel));
  const dialog = h("dialog", { "aria-labelledby": heading }, form);
  const opener = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    (opener?.isConnected && !opener.disabled ? opener : document.getElementById("main")).focus();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (confirm.disabled) return;
    problem.textContent = checked() ?? "";
    if (problem.textContent) return;
    confirm.disabled = true;
    try {
      const answer = await act();
      dialog.close();
      tell(answer);
      acted();
    } catch (error) {
      problem.textContent = error.message;
      confirm.disabled = false;
      changed(); // Some of it may be done.
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  preview().then(
    (shown) => {
      content.replaceChildren(...[shown].flat(Infinity).filter(Boolean));
      confirm.disabled = false;
    },
    (error) => {
      content.replaceChildren();
      problem.textContent = error.message;
    },
  ).finally(() => content.removeAttribute("aria-busy"));
}

async function replayed(selection, preview) {
  if (selection.whole) {
    const { status: _status, ...filters } = selection.whole.filters;
    const given = Object.fromEntries(Object.entries(filters).filter(([, value]) => value));
    return (await post("held/replay", { all: true, preview, ...given })).items;
  }
  return (await inChunks(await selection.listed(), (ids) => post("held/replay", { ids, preview }))).flatMap((part) => part.items);
}

async function discarded(selection, why, preview) {
  const parts = await inChunks(await selection.listed(), (ids) => post("held/discard", { ids, why, preview }));
  return { items: parts.flatMap((part) => part.items), requests: parts.flatMap((part) => part.requests ?? []) };
}

async function inChunks(ids, request) {
  const answers = [];
  for (let begin = 0; begin < ids.length; begin += LARGEST_CHOICE) {
    answers.push(await request(ids.slice(begin, begin + LARGEST_CHOICE)));
  }
  return answers;
}

function replayPreview(rows, instances) {
  if (!rows.length) return h("p", {}, "None of them is held any more: there is nothing to send again.");
  const paused = new Set(instances.filter((each) => each.paused).map((each) => each.dag_id));
  return [
    h("p", {}, rows.length === 1 ? "One run will be triggered in Airflow:" : `${count(rows.length)} runs will be triggered in Airflow, one per instance:`),
    h("ul", { class: "preview-list" }, rows.map((row) => h("li", {},
      h("strong", {}, counted(row.records, "record")), " of ", instanceName(row), amounts(row.amounts), ": a run of ", h("code", {}, row.dag_id), ".",
      row.paused ?? paused.has(row.dag_id) ? h("p", { class: "warning" }, "This DAG is paused: the run waits until somebody unpauses it.") : null,
      secondPerson(row.needs_second_person, row.limit, "sent")))),
    h("p", { class: "hint" }, "Records whose cause is repaired are sent; the others stay held, with the reason of today."),
  ];
}

function discardPreview({ items, requests }) {
  const above = items.filter((row) => row.needs_second_person).length;
  const sums = sumTotals(items.filter((row) => row.currency && row.amount != null).map((row) => ({ [row.currency]: row.amount })));
  return [
    h("p", {}, h("strong", {}, counted(items.length, "record")), amounts(sums), " will never be sent:"),
    table({
      caption: "Records to be discarded",
      columns: [{ label: "Record", head: true }, { label: "Integration" }, { label: "Amount", class: "figures" }],
      rows: items.slice(0, SHOWN).map((row) => ({ key: row.id, cells: [
        row.label || row.source_key, instanceName(row), row.currency ? totals({ [row.currency]: row.amount }) : "–"] })),
    }),
    items.length > SHOWN ? h("p", {}, `and ${count(items.length - SHOWN)} more.`) : null,
    secondPerson(above, requests[0]?.limit, "discarded"),
  ];
}

function amounts(byCurrency) {
  const parts = Object.entries(byCurrency ?? {}).map(([currency, text]) => money(text, currency));
  return parts.length ? ` (${parts.join(", ")})` : "";
}

function secondPerson(number, limits, done) {
  if (!number) return null;
  const said = Object.entries(limits ?? {}).map(([currency, text]) => (currency === "*" ? `${text} in any other currency` : money(text, currency)));
  const above = said.length ? ` (the limit is ${said.join(", ")})` : "";
  return h("p", { class: "warning" },
    `${counted(number, "record")} above the limit of one person${above}: a second person is asked in Airflow, and nothing of it is ${done} before they agree.`);
}

function tellReplay(row, changed) {
  if (row.status === "waiting_for_second_person") waiting(row, "sent again");
  else if (row.status === "refused") notice("bad", instanceName(row), `: ${row.message}`);
  else watch(row, changed);
}

function tellDiscard({ items, requests }) {
  const done = items.filter((row) => row.status === "discarded").length;
  if (done) notice("good", `${counted(done, "record")} discarded.`);
  for (const row of requests) {
    if (row.status === "refused") notice("bad", instanceName(row), `: ${row.message}`);
    else waiting(row, "discarded");
  }
}

function waiting(row, done) {
  const path = row.approval_url ?? airflowPath(row.dag_id, row.run_id);
  const paused = row.paused ? ` The DAG ${row.dag_id} is paused: nobody is asked until somebody unpauses it.` : "";
  notice("wait", `${counted(row.records, "record")}${amounts(row.amounts)} wait${row.records === 1 ? "s" : ""} for a second person and will be ${done} when they agree: `,
    airflowLink(path, "the question in Airflow"), `.${paused}`);
}
