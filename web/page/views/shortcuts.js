/** Single-key shortcuts. The dialog `#shortcuts` lists them for people. */

import { byId } from "./dom.js";
import { hasSingleKeys } from "./settings.js";

/** @param {Record<string, () => void>} actions by `KeyboardEvent.key` in lower case */
export function setUpShortcuts(actions) {
  byId("open-shortcuts").addEventListener("click", () => byId("shortcuts", HTMLDialogElement).showModal());
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // a click beside it
    });
  }
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select, [contenteditable]");
    const isOurs = !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping && hasSingleKeys();
    const action = actions[event.key.toLowerCase()];
    if (!isOurs || !action || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    action();
  });
}
