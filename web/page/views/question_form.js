/** The form for a question. */

import { byId } from "./dom.js";

const DEFAULT_PROMPT = "What happens, and when?";

export class QuestionForm {
  /** @param {(form: QuestionForm) => void} onAsk */
  constructor(onAsk) {
    this._form = byId("ask", HTMLFormElement);
    this._prompt = byId("prompt", HTMLTextAreaElement);
    this._button = byId("ask-button", HTMLButtonElement);
    this._form.addEventListener("submit", (event) => {
      event.preventDefault();
      onAsk(this);
    });
    this._prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this._form.requestSubmit();
    });
  }

  get prompt() {
    return this._prompt.value.trim() || DEFAULT_PROMPT;
  }

  /** Whether a question is being sent. */
  get isBusy() {
    return this._button.disabled;
  }

  /** @param {boolean} isBusy @param {string} [hint] */
  setBusy(isBusy, hint = "") {
    this._button.disabled = isBusy;
    byId("ask-hint").textContent = hint;
  }

  clear() {
    this._prompt.value = "";
  }
}
