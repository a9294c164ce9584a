// The filters of a list. They live in the address, so that a filtered list can be linked to and gone back to.

import { h, freshId } from "./dom.js";
import { route } from "./links.js";
import { spoken, titleOf } from "./words.js";

/**
 * A form of filters.
 *
 * @param view the view whose address they are in
 * @param fields `{name, label, kind: "search"|"select"|"text"|"date"|"check", options}`
 */
export class Filters {
  constructor(view, fields) {
    this.view = view;
    this.isOpen = false;
    this.fields = fields.map((field) => ({ ...field, input: control(field) }));
    const id = freshId("filters");
    this.more = h("button", { type: "button", class: "more", "aria-expanded": "false", "aria-controls": id, onclick: () => this.open(!this.isOpen) }, "Filters");
    this.form = h("form", { id, class: "filters", role: "search", onsubmit: (event) => this.submitted(event) },
      this.fields.map(labelled),
      h("button", { type: "submit" }, "Apply"),
      this.more,
      h("a", { href: route(view), class: "button clear" }, "Clear"));
    this.form.addEventListener("change", (event) => {
      if (event.target.matches("select, input[type=checkbox], input[type=date]")) this.go();
    });
  }

  /** In a narrow window all but the search are folded away until they are asked for. */
  open(isOpen) {
    this.isOpen = isOpen;
    this.form.classList.toggle("open", isOpen);
    this.more.setAttribute("aria-expanded", String(isOpen));
  }

  /** Show what the address says. */
  show(parameters) {
    if (this.fields.some(({ name, kind }) => kind !== "search" && name !== "status" && parameters.get(name))) this.open(true);
    for (const { name, kind, input, value } of this.fields) {
      const given = parameters.get(name) ?? "";
      if (kind === "check") input.checked = given === value;
      else if (kind === "select") choose(input, given);
      else input.value = given;
    }
  }

  /** Offer what there is. */
  offer(name, values, text = (value) => value) {
    const { input } = this.fields.find((field) => field.name === name);
    const chosen = input.value;
    input.replaceChildren(h("option", { value: "" }, "All"), ...values.map((value) => h("option", { value }, text(value))));
    choose(input, chosen);
  }

  submitted(event) {
    event.preventDefault();
    this.go();
  }

  go() {
    const values = this.fields.map(({ name, kind, input, value }) =>
      [name, kind === "check" ? (input.checked ? value : "") : input.value.trim()]);
    location.hash = route(this.view, Object.fromEntries(values));
  }
}

function choose(select, value) {
  if (value && ![...select.options].some((option) => option.value === value)) {
    select.append(h("option", { value }, spoken(value))); // From an address; the list still says what it is filtered by.
  }
  select.value = value;
}

function control({ name, kind, options = [], placeholder = null }) {
  const id = freshId(`filter-${name}`);
  if (kind === "select") {
    const all = h("option", { value: "" }, "All");
    return h("select", { id, name }, all, options.map((value) => h("option", { value }, spoken(value))));
  }
  const types = { search: "search", check: "checkbox", date: "date" };
  const shortcut = kind === "search" ? "/" : null;
  return h("input", { id, name, type: types[kind] ?? "text", placeholder, "aria-keyshortcuts": shortcut, autocomplete: "off" });
}

function labelled({ label, kind, input }) {
  const text = h("label", { for: input.id }, label);
  return h("div", { class: `field ${kind}` }, kind === "check" ? [input, text] : [text, input]);
}

/** The two filters that all lists begin with. */
export const INSTANCE_FIELDS = [
  { name: "integration", label: "Integration", kind: "select" },
  { name: "instance", label: "Instance", kind: "select" },
];

/** Offer the integrations and instances that there are. */
export function offerInstances(filters, instances) {
  const names = (key) => [...new Set(instances.map((each) => each[key]))].sort();
  filters.offer("integration", names("integration"), titleOf);
  filters.offer("instance", names("instance"));
}
