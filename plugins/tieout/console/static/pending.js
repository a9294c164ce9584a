// Runs that were triggered here: watched until they end, the list below refreshed as they go.

import { airflow, get } from "./api.js";
import { h } from "./dom.js";
import { counted } from "./format.js";
import { airflowLink, airflowPath, route } from "./links.js";
import { notice } from "./notices.js";

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 20_000;
const ENDED = ["success", "failed"];

/** Tell of a queued run, and watch it; `changed` is called whenever the list may look different. */
export async function watch(queued, changed) {
  const { dag_id: dagId, run_id: runId } = queued;
  const link = airflowLink(airflowPath(dagId, runId), runId);
  const paused = queued.paused ? ` The DAG is paused: the run waits until somebody unpauses ${dagId}.` : "";
  const say = notice("wait", `${counted(queued.records, "record")} will be sent again by the run `, link, `.${paused}`);
  for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    await after(wait);
    let state;
    try {
      ({ state } = await airflow(`dags/${encodeURIComponent(dagId)}/dagRuns/${encodeURIComponent(runId)}`));
    } catch (error) {
      if (error.status === 401 || error.status === 403 || error.status === 404) {
        say("bad", "The run ", link, ` cannot be watched: ${error.message}`);
        return;
      }
      continue; // The server does not answer just now.
    }
    changed();
    if (ENDED.includes(state)) {
      await ended(queued, state, link, say);
      changed();
      return;
    }
    if (state === "running") say("wait", `${counted(queued.records, "record")} are being sent again by the run `, link, " …");
  }
}

async function ended(queued, state, link, say) {
  const { integration, instance, run_id: runId } = queued;
  let figures = "";
  try {
    const { items } = await get("runs", { integration, instance, run_id: runId, limit: 500 });
    const sum = (name) => items.reduce((total, row) => total + (row[name] ?? 0), 0);
    const parts = [["delivered", sum("delivered")], ["posted", sum("posted")], ["duplicate", sum("duplicate")], ["held again", sum("held")]];
    figures = parts.filter(([, number]) => number).map(([name, number]) => `${number} ${name}`).join(", ");
  } catch {
    // The figures are on the page Runs.
  }
  const more = h("a", { href: route("runs", { integration, instance, run_id: runId }) }, "Its figures");
  if (state === "success") say("good", "The run ", link, ` has ended well${figures ? `: ${figures}` : ""}. `, more);
  else say("bad", "The run ", link, ` has failed${figures ? `: ${figures}` : ""}. What it could not send is still held. `, more);
}

/** Wait, and as long as nobody looks at the page. */
function after(milliseconds) {
  return new Promise((done) => {
    setTimeout(() => {
      if (!document.hidden) done();
      else document.addEventListener("visibilitychange", () => done(), { once: true });
    }, milliseconds);
  });
}
