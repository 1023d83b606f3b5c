/** The theme button, and the switch for single-key shortcuts. */

import { keep, kept } from "../desk/kept.js";
import { byId } from "./dom.js";

const THEMES = ["system", "light", "dark"];

export function setUpSettings() {
  showTheme(kept("theme", "system"));
  byId("theme").addEventListener("click", nextTheme);
  const singleKeys = byId("single-keys", HTMLInputElement);
  singleKeys.checked = kept("keys", "on") === "on";
  singleKeys.addEventListener("change", () => keep("keys", hasSingleKeys() ? "on" : "off"));
}

/** Whether shortcuts without Ctrl are on. */
export function hasSingleKeys() {
  return byId("single-keys", HTMLInputElement).checked;
}

export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(kept("theme", "system")) + 1) % THEMES.length] ?? "system";
  keep("theme", next);
  showTheme(next);
}

/** @param {string} theme */
function showTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme-name").textContent = theme;
}
