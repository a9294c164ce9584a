// Which held records are chosen: some by id, or all that the filters leave.

import { get } from "./api.js";

const LARGEST_PAGE = 500;

/** The records that replay or discard will be about. */
export class Selection {
  constructor() {
    this.clear();
  }

  clear() {
    this.ids = new Set();
    this.whole = null;
  }

  /** Choose all open records that the filters leave. */
  chooseAll(filters, total) {
    this.ids = new Set();
    this.whole = { filters, total };
  }

  set(id, chosen) {
    if (chosen) this.ids.add(id);
    else this.ids.delete(id);
  }

  has(id) {
    return this.whole !== null || this.ids.has(id);
  }

  get size() {
    return this.whole ? this.whole.total : this.ids.size;
  }

  /** The ids; of a filter they are asked for page by page. */
  async listed() {
    if (!this.whole) return [...this.ids];
    const ids = [];
    for (;;) {
      const page = { ...this.whole.filters, status: "held", limit: LARGEST_PAGE, offset: ids.length };
      const { items, total } = await get("held", page);
      ids.push(...items.map((row) => row.id));
      if (!items.length || ids.length >= total) return ids;
    }
  }
}
