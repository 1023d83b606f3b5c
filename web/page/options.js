/** The options of a question: read, checked by the server, and kept from one visit to the next. */

import { byId } from "./dom.js";
import { parseTime } from "./times.js";

const TIMES = ["video_start", "video_end"];

/**
 * The fields that are filled in. Throws an Error with words for people where one is no number; its `param` names it.
 * @returns {Record<string, number>}
 */
export function chosenOptions() {
  /** @type {Record<string, number>} */
  const chosen = {};
  for (const input of inputs()) {
    const text = input.value.trim().replace(",", ".");
    if (!text) continue;
    const value = TIMES.includes(input.name) ? parseTime(text) : Number(text);
    if (Number.isNaN(value)) {
      const example = TIMES.includes(input.name) ? "a time such as 90 or 1:30" : "a number";
      throw Object.assign(new Error(`“${text}” is not ${example}.`), { param: input.name });
    }
    chosen[input.name] = value;
  }
  byId("options-set").textContent = Object.keys(chosen).length ? `${Object.keys(chosen).length} set` : "";
  return chosen;
}

/**
 * Marks the field that the server, or the page, found wrong.
 * @param {string | null} param
 */
export function markOption(param) {
  for (const input of inputs()) {
    const isWrong = input.name === param;
    if (isWrong) byId("options").open = true;
    if (isWrong) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

/** @param {() => void} onChange */
export function watchOptions(onChange) {
  for (const input of inputs()) input.addEventListener("input", onChange);
}

/** The range belongs to one video. */
export function clearRange() {
  for (const input of inputs()) if (TIMES.includes(input.name)) input.value = "";
}

/** @returns {HTMLInputElement[]} */
function inputs() {
  return [...byId("options").querySelectorAll("input")];
}
