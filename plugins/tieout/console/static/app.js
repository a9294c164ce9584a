// The page: finds the view that the address names, and shows what it finds.

import { Refused, ROOT, get } from "./api.js";
import { serveCopying } from "./clipboard.js";
import { announce, h } from "./dom.js";
import { Connections } from "./connections.js";
import { Files } from "./files.js";
import { Held } from "./held.js";
import { HeldRecord } from "./held_record.js";
import { hashOfFrame, instanceOf, leaveFrame, parsed, route, tellFrame } from "./links.js";
import { Overview } from "./overview.js";
import { Runs } from "./runs.js";
import { empty } from "./show.js";
import { Trace } from "./trace.js";

const VIEWS = { overview: Overview, runs: Runs, files: Files, held: Held, trace: Trace, connections: Connections };

class Page {
  constructor() {
    this.main = document.getElementById("main");
    this.view = null;
    this.kind = null;
    this.loading = null;
  }

  /** Who is logged in, and what they may do; `may_trigger` is null where that is not known. */
  me() {
    this.whoIsIt ??= get("me").then((me) => ({ user: me.user ?? "", may_trigger: me.may_trigger ?? null })).catch((error) => {
      this.whoIsIt = null;
      if (error.status === 404) return { user: "", may_trigger: null };
      throw error;
    });
    return this.whoIsIt;
  }

  /** The integrations and instances that there are, as the overview has them. */
  instances() {
    this.known ??= get("overview").then(({ items }) => items).catch((error) => {
      this.known = null;
      throw error;
    });
    return this.known;
  }

  setTitle(title) {
    document.title = `${title} · Tieout`;
  }

  /** Show what the address says. */
  async show({ quietly = false } = {}) {
    const wanted = parsed(location.hash);
    const kind = wanted.view === "held" && wanted.rest ? HeldRecord : (VIEWS[wanted.view] ?? null);
    this.loading?.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    const isNew = kind !== this.kind || this.view === null;
    if (isNew) this.begin(kind);
    markCurrent(wanted.view);
    tellFrame();
    if (kind === null) {
      this.main.replaceChildren(empty("There is no such page", "The address is not one of Tieout's. The pages are in the line above."));
      return;
    }
    this.setTitle(this.view.title);
    if (!quietly) this.main.setAttribute("aria-busy", "true");
    try {
      await this.view.load(wanted, signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!quietly) this.refused(error);
    }
    if (this.loading?.signal !== signal) return;
    this.main.removeAttribute("aria-busy");
    if (isNew && this.begun) this.main.querySelector("h1")?.focus({ preventScroll: false });
    this.begun = true;
  }

  begin(kind) {
    this.kind = kind;
    this.view = kind && new kind(this);
    if (this.view) this.main.replaceChildren(this.view.element);
    window.scrollTo(0, 0);
  }

  /** Ask again for what is shown. */
  refresh({ quietly = false } = {}) {
    this.known = null;
    return this.show({ quietly });
  }

  refused(error) {
    if (!(error instanceof Refused)) console.error(error);
    const again = h("button", { type: "button", onclick: () => this.refresh() }, "Try again");
    const shown = error.status === 401
      ? h("section", { class: "empty problem" }, h("h2", {}, "You are logged out"), h("p", {}, error.message, " ", loginLink()))
      : h("section", { class: "empty problem" }, h("h2", {}, "This cannot be shown"), h("p", {}, error.message), h("p", {}, again));
    (this.view?.results ?? this.main).replaceChildren(shown);
    announce(error.message);
  }
}

function loginLink() {
  const here = window.parent === window ? location : window.parent.location;
  const next = encodeURIComponent(here.pathname + here.search + here.hash);
  return h("a", { href: `${ROOT}auth/login?next=${next}`, target: "_top", onclick: leaveFrame }, "Log in to Airflow again");
}

function markCurrent(view) {
  for (const link of document.querySelectorAll("nav a[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** From a DAG run's tab in Airflow: `?dag_id=…&run_id=…` is that run's table. */
function routeOfQuery() {
  const query = new URLSearchParams(location.search);
  const { integration, instance } = instanceOf(query.get("dag_id") ?? "");
  return integration ? route("runs", { integration, instance, run_id: query.get("run_id") ?? "" }) : "";
}

function serveKeys(page) {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = page.main.querySelector("input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // The part after the # is the view's.
    page.main.focus();
  });
}

async function begin() {
  const page = new Page();
  const start = location.hash || routeOfQuery() || hashOfFrame();
  if (start && start !== location.hash) history.replaceState(history.state, "", start);
  serveKeys(page);
  serveCopying();
  document.getElementById("refresh").addEventListener("click", () => page.refresh());
  addEventListener("hashchange", () => page.show());
  page.me().then(({ user }) => {
    document.getElementById("who").textContent = user;
  }, () => {});
  await page.show();
}

begin();
