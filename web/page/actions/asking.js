/** Questions: ask, follow, cancel. */

import * as api from "../server/api.js";
import { announce } from "../views/dom.js";
import { chosenOptions, markOption } from "../views/options.js";
import { showProblem, showQuestionProblem, wordsOf } from "../views/problems.js";
import { showId } from "../desk/address_bar.js";
import { apply, fromServer, isUnderWay, progressWords } from "../desk/analysis.js";
import { metadataOf } from "../desk/source.js";

/** @import { QuestionForm } from "../views/question_form.js" */
/** @import { Screen } from "../views/screen.js" */
/** @import { Analysis } from "../desk/analysis.js" */
/** @import { Desk } from "../desk/desk.js" */
/** @import { Source } from "../desk/source.js" */

const NO_ADDRESS = "The server no longer shows this video’s whole address. Open the video again with “Another video”.";

export class Asker {
  /** @param {Desk} desk @param {Screen} screen */
  constructor(desk, screen) {
    this._desk = desk;
    this._screen = screen;
  }

  /** Ask what the form says, as soon as the video is uploaded. @param {QuestionForm} form */
  async ask(form) {
    const { source } = this._desk;
    if (!source || form.isBusy) return;
    form.setBusy(true, source.fields ? "" : "Starts when the upload is done.");
    try {
      const analysis = await this._create(source, form.prompt);
      if (this._desk.source !== source) return;
      showId(analysis.id);
      this._desk.add(analysis);
      this._screen.reveal(analysis.id);
      form.clear();
      markOption(null);
      showProblem("ask-problem", null);
      void this.follow(analysis);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) showQuestionProblem(error);
    } finally {
      form.setBusy(false);
      this._desk.changed();
    }
  }

  /** @param {Source} source @param {string} prompt @returns {Promise<Analysis>} */
  async _create(source, prompt) {
    const options = chosenOptions();
    await this._desk.uploaded;
    if (!source.fields) throw new Error(NO_ADDRESS);
    this._desk.isAsked = true;
    return fromServer(await api.createAnalysis({ ...source.fields, prompt, ...options, metadata: metadataOf(source) }));
  }

  /**
   * Apply the events of an analysis until it ends or another video is opened.
   * @param {Analysis} analysis
   */
  async follow(analysis) {
    const onConnection = (/** @type {boolean} */ isConnected) => {
      analysis.isConnected = isConnected;
      this._desk.changed();
    };
    let announced = "";
    try {
      for await (const event of api.followAnalysis(analysis.id, this._desk.signal, onConnection)) {
        apply(analysis, event);
        const words = statusWords(analysis);
        if (words !== announced) announce(words);
        announced = words;
        this._desk.changed();
      }
    } catch (error) {
      Object.assign(analysis, { status: "failed", problem: wordsOf(error) });
      this._desk.changed();
    }
  }

  /** @param {string} id */
  async cancel(id) {
    const analysis = this._desk.find(id);
    try {
      const body = await api.deleteAnalysis(id);
      if (analysis && "status" in body) analysis.status = body.status;
    } catch (error) {
      showProblem("ask-problem", error);
    }
    this._desk.changed();
  }
}

/** @param {Analysis} analysis */
function statusWords(analysis) {
  if (isUnderWay(analysis)) return progressWords(analysis);
  if (analysis.status === "completed") return "The answer is there";
  return analysis.status === "failed" ? "The analysis failed" : "Cancelled";
}
