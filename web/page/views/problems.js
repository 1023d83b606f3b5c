/** Messages about what went wrong, beside the field that they concern. */

import { ServerError } from "../server/api.js";
import { byId } from "./dom.js";
import { OptionError, markOption } from "./options.js";

/**
 * Show an error's message, or none.
 * @param {"address-problem" | "ask-problem"} id
 * @param {unknown} error null hides the last one
 */
export function showProblem(id, error) {
  const words = error === null ? "" : wordsOf(error);
  byId(id).textContent = words;
  byId(id).hidden = !words;
}

/** Show what is wrong with a question, and mark the option at fault. @param {unknown} error */
export function showQuestionProblem(error) {
  markOption(error instanceof ServerError || error instanceof OptionError ? error.param : null);
  showProblem("ask-problem", error);
}

/** @param {unknown} error @returns {string} */
export function wordsOf(error) {
  if (error instanceof TypeError) return "The server cannot be reached."; // so fetch reports it
  return error instanceof Error ? error.message : String(error);
}
