// Requests to Tieout's own JSON and to Airflow's API, both under the session's cookie.

/** `/` or the path that Airflow is served under, with a slash at its end. */
export const ROOT = new URL("../", new URL(".", document.baseURI)).pathname;

/** What the server refused, in its own words. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The JSON of `tieout/api/…`. */
export function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value != null));
  const asked = query.size ? `?${query}` : "";
  return answered(fetch(`${ROOT}tieout/api/${path}${asked}`, { signal, headers: { accept: "application/json" } }));
}

/** Ask for something to be done. */
export function post(path, body) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  return answered(fetch(`${ROOT}tieout/api/${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

/** The JSON of Airflow's own public API. */
export function airflow(path, signal = undefined) {
  return answered(fetch(`${ROOT}api/v2/${path}`, { signal, headers: { accept: "application/json" } }));
}

async function answered(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "Airflow's server does not answer. Is it running, and is the network there?");
  }
  let document = null;
  try {
    document = await response.json();
  } catch {
    // Not JSON: the status has to do.
  }
  if (response.ok && document !== null) return document;
  throw new Refused(response.status, sentence(response.status, document));
}

function sentence(status, document) {
  if (status === 401) return "Your login to Airflow has run out.";
  if (typeof document?.detail === "string") return document.detail;
  return `Airflow's server answered with status ${status}; its log may say why.`;
}
