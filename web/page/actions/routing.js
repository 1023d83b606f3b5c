/** What the page's address names: an analysis, or the page as it opens. */

import * as api from "../server/api.js";
import { showProblem } from "../views/problems.js";
import { clearId, idInHash, showId } from "../desk/address_bar.js";
import { fromServer, isUnderWay } from "../desk/analysis.js";

/** @import { AnalysisSummary } from "../../types/bodies.js" */
/** @import { Analysis } from "../desk/analysis.js" */
/** @import { Asker } from "./asking.js" */
/** @import { Desk } from "../desk/desk.js" */
/** @import { Opener } from "./opening.js" */

const EARLIER_QUESTIONS = 50;

export class Router {
  /** @param {Desk} desk @param {Opener} opener @param {Asker} asker */
  constructor(desk, opener, asker) {
    this._desk = desk;
    this._opener = opener;
    this._asker = asker;
  }

  /** Go to the page as it opens. */
  goHome() {
    clearId();
    this._opener.clear();
  }

  /** Go to another analysis on the desk. @param {string} id */
  goTo(id) {
    showId(id);
    this._desk.show(id);
  }

  /** Show what the address names now. */
  async open() {
    const id = idInHash();
    if (!id.startsWith("analysis-")) {
      if (this._desk.source && !id) this.goHome();
    } else if (this._desk.find(id)) {
      this._desk.show(id);
    } else {
      await this._openStored(id);
    }
  }

  /** @param {string} id */
  async _openStored(id) {
    try {
      const analysis = fromServer(await api.getAnalysis(id));
      this._opener.openAnalysis(analysis);
      if (isUnderWay(analysis)) void this._asker.follow(analysis);
      await this._addEarlier(analysis);
    } catch (error) {
      this.goHome();
      showProblem("address-problem", error);
    }
  }

  /** Add the other questions about the same video. @param {Analysis} analysis */
  async _addEarlier(analysis) {
    const { source } = this._desk;
    const { data } = await api.listAnalyses({ limit: EARLIER_QUESTIONS });
    const others = data.filter((other) => isAboutSameVideo(analysis, other) && other.id !== analysis.id);
    const bodies = await Promise.all(others.map((other) => api.getAnalysis(other.id).catch(() => null))); // it may be deleted
    if (this._desk.source !== source) return;
    const found = bodies.filter((body) => body !== null).map(fromServer);
    const added = found.filter((other) => !this._desk.find(other.id));
    this._desk.addEarlier(added);
    for (const other of added.filter(isUnderWay)) void this._asker.follow(other);
  }
}

/** @param {Analysis} analysis @param {AnalysisSummary} other */
function isAboutSameVideo(analysis, other) {
  return analysis.fileId ? other.file_id === analysis.fileId : !other.file_id && other.video === analysis.video;
}
