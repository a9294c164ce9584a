// The ledger's states in words.

import { h } from "./dom.js";

const TITLES = {
  sap_b1_to_peakflo: "SAP Business One → Peakflo",
  syspro_to_legacy_erp: "SYSPRO → Legacy ERP",
  stampli_to_sap_b1: "Stampli → SAP Business One",
  banqup_to_sftp: "Banqup → SFTP",
};

const VERIFICATIONS = {
  read_back: ["Read back", "The file was read back from the receiver: every byte is there."],
  server_hash: ["Server hash", "The receiver's server computed the same digest."],
  size: ["Size only", "Only the size was compared; the content was not verified."],
};

const ACKNOWLEDGEMENTS = {
  sent: ["Awaited", "wait"],
  accepted: ["Accepted", "good"],
  accepted_with_errors: ["Accepted with errors", "warn"],
  partially_accepted: ["Partially accepted", "warn"],
  rejected: ["Rejected", "bad"],
  overdue: ["Overdue", "bad"],
};

const KINDS = {
  running: "wait", extracted: "wait", prepared: "wait", sending: "wait", verified: "wait", delivered: "good",
  success: "good", settled: "good", archived: "good", collected: "wait", dry_run: "plain", held: "warn",
  discarded: "plain", abandoned: "plain", left: "warn", failed: "bad", refused: "bad", queued: "wait", done: "good",
  posted: "good", validated: "good", intended: "wait", not_sent: "warn", awaiting_approval: "warn", cancelled: "plain", withdrawn: "plain",
};

/** What people call an integration. */
export function titleOf(integration) {
  return TITLES[integration] ?? integration;
}

/** Underscores are for machines: "dry_run" as "dry run". */
export function spoken(name) {
  return String(name ?? "").replaceAll("_", " ");
}

/** A word with a colour, which is never the only thing that tells. */
export function badge(text, kind = "plain", title = null) {
  return h("span", { class: `badge ${kind}`, title }, text);
}

/** A state of a run, file, posting or held record. */
export function stateBadge(state) {
  return badge(spoken(state), KINDS[state] ?? "plain");
}

/** How far a delivery was verified. */
export function verificationOf(verification) {
  const [text, title] = VERIFICATIONS[verification] ?? ["Not verified yet", "Nothing was compared so far."];
  return badge(text, verification === "size" ? "warn" : verification ? "good" : "plain", title);
}

/** What the receiver said of a file. */
export function acknowledgementOf(state) {
  if (!state) return h("span", { class: "muted" }, "None expected");
  const [text, kind] = ACKNOWLEDGEMENTS[state] ?? [spoken(state), "plain"];
  return badge(text, kind);
}
