/** The options of a question. */

import { parseTime } from "../text/times.js";
import { byId } from "./dom.js";

const TIMES = ["video_start", "video_end"];

/** A field does not hold what it should. */
export class OptionError extends Error {
  /** @param {string} message @param {string} param the field's name */
  constructor(message, param) {
    super(message);
    this.param = param;
  }
}

/**
 * The values of the fields that are filled in.
 * @returns {Record<string, number>} Throws OptionError.
 */
export function chosenOptions() {
  /** @type {Record<string, number>} */
  const chosen = {};
  for (const input of inputs()) {
    const text = input.value.trim().replace(",", ".");
    if (text) chosen[input.name] = parseOption(input.name, text);
  }
  byId("options-set").textContent = Object.keys(chosen).length ? `${Object.keys(chosen).length} set` : "";
  return chosen;
}

/**
 * Mark the field that the server or the page found wrong, and no other.
 * @param {string | null} param
 */
export function markOption(param) {
  for (const input of inputs()) {
    const isWrong = input.name === param;
    if (isWrong) byId("options", HTMLDetailsElement).open = true;
    if (isWrong) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

/** @param {() => void} onChange */
export function watchOptions(onChange) {
  for (const input of inputs()) input.addEventListener("input", onChange);
}

/** Empty the range, which belongs to one video. */
export function clearRange() {
  for (const input of inputs()) if (TIMES.includes(input.name)) input.value = "";
}

/** @param {string} name @param {string} text @returns {number} */
function parseOption(name, text) {
  const isTime = TIMES.includes(name);
  const value = isTime ? parseTime(text) : Number(text);
  if (Number.isNaN(value)) throw new OptionError(`“${text}” is not ${isTime ? "a time such as 90 or 1:30" : "a number"}.`, name);
  return value;
}

/** @returns {HTMLInputElement[]} */
function inputs() {
  return [...byId("options").querySelectorAll("input")];
}
