// Buttons that copy their `data-copy`.

import { announce, h } from "./dom.js";

/** Serve all such buttons of the page, also later ones. */
export function serveCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-copy]");
    if (!button) return;
    const done = await copied(button.dataset.copy);
    announce(done ? "Copied." : `The browser did not allow copying: ${button.dataset.copy}`);
    if (done) button.textContent = "Copied";
  });
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedTheOldWay(text); // Without HTTPS there is no clipboard object.
  }
}

function copiedTheOldWay(text) {
  const field = h("textarea", { class: "unseen", "aria-hidden": "true" });
  field.value = text;
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return done;
}
