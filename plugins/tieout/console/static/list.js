// What the views Runs, Files and Held share: filters above, a list cut into pages below.

import { get } from "./api.js";
import { announce, h } from "./dom.js";
import { Filters, offerInstances } from "./filters.js";
import { counted } from "./format.js";
import { pageOf, pager } from "./paging.js";

/** A view of one of the lists. Subclasses say what is asked for and how the rows are shown. */
export class ListView {
  /**
   * @param name the view's and the list's name in addresses
   * @param fields its filters
   * @param noun what a row is called, as [one, many]
   */
  constructor({ name, title, intro, fields, noun }, page) {
    this.name = name;
    this.title = title;
    this.noun = noun;
    this.page = page;
    this.filters = new Filters(name, fields);
    this.results = h("section", { class: "results", "aria-label": title });
    this.element = h("div", {}, h("h1", { tabindex: "-1" }, title), h("p", { class: "intro" }, intro), this.filters.form, this.results);
    page.instances().then((instances) => offerInstances(this.filters, instances), () => {});
  }

  /** Show what the address asks for. */
  async load({ parameters }, signal) {
    this.filters.show(parameters);
    const range = pageOf(parameters);
    const { items, total } = await get(this.name, { ...this.query(parameters), ...range }, signal);
    const pages = () => pager(this.name, parameters, range, items.length, total);
    const filtered = [...parameters].some(([name, value]) => name !== "offset" && value);
    const shown = items.length ? [pages(), this.rows(items, { parameters, total }), pages()]
      : [this.nothing(filtered, total), pages()];
    const focused = focusedIn(this.results);
    this.results.replaceChildren(...shown.flat().filter(Boolean));
    if (focused) this.results.querySelector(focused)?.focus();
    announce(`${counted(total, ...this.noun)}.`);
  }

  /** The query of the list's JSON; by default the address's own, without what is empty. */
  query(parameters) {
    return Object.fromEntries([...parameters].filter(([name]) => name !== "offset"));
  }
}

/** What would find the focused element again after its list was made anew; null where the focus is elsewhere. */
function focusedIn(element) {
  const focused = document.activeElement;
  if (!element.contains(focused)) return null;
  for (const name of ["data-id", "href"]) {
    const value = focused.getAttribute(name);
    if (value !== null) return `[${name}="${CSS.escape(value)}"]`;
  }
  return null;
}

/** Midnight of a day in the reader's own time zone, as the server wants it. */
export function startOfDay(day) {
  const at = new Date(`${day}T00:00:00`);
  return day && !Number.isNaN(at.getTime()) ? at.toISOString() : "";
}
