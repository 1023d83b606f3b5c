/** What someone chose for this page, kept in this browser. */

import { byId } from "./dom.js";

const THEMES = ["system", "light", "dark"];

/** @param {string} name @param {string} otherwise */
export function kept(name, otherwise) {
  try {
    return localStorage.getItem(`longtake.${name}`) ?? otherwise;
  } catch {
    return otherwise; // storage is switched off
  }
}

/** @param {string} name @param {string} value */
export function keep(name, value) {
  try {
    localStorage.setItem(`longtake.${name}`, value);
  } catch {
    // Storage is switched off, or full: it holds until the page is left.
  }
}

/** @param {string} name */
export function forget(name) {
  try {
    localStorage.removeItem(`longtake.${name}`);
  } catch {
    // Storage is switched off: nothing was kept.
  }
}

/** The theme's button, and the switch for single keys. */
export function setUpSettings() {
  showTheme(kept("theme", "system"));
  byId("theme").addEventListener("click", nextTheme);
  byId("single-keys").checked = kept("keys", "on") === "on";
  byId("single-keys").addEventListener("change", () => keep("keys", hasSingleKeys() ? "on" : "off"));
}

/** Whether keys without Ctrl do something. */
export function hasSingleKeys() {
  return byId("single-keys").checked;
}

export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(kept("theme", "system")) + 1) % THEMES.length];
  keep("theme", next);
  showTheme(next);
}

/** @param {string} theme */
function showTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme-name").textContent = theme;
}
