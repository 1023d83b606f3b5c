/** Videos come to the desk here, and leave it. */

import * as api from "../server/api.js";
import { upload } from "../server/uploads.js";
import { announce } from "../views/dom.js";
import { showProblem } from "../views/problems.js";
import { clearId } from "../desk/address_bar.js";
import { sourceOf, sourceOfAnalysis, sourceOfFile } from "../desk/source.js";

/** @import { Screen } from "../views/screen.js" */
/** @import { Analysis } from "../desk/analysis.js" */
/** @import { Desk } from "../desk/desk.js" */
/** @import { Planner } from "./planning.js" */
/** @import { Source } from "../desk/source.js" */

export class Opener {
  /** @param {Desk} desk @param {Planner} planner @param {Screen} screen */
  constructor(desk, planner, screen) {
    this._desk = desk;
    this._planner = planner;
    this._screen = screen;
  }

  /** Open a file and upload it. @param {File} file */
  async openFile(file) {
    const source = sourceOfFile(file);
    clearId();
    this._put(source);
    this._desk.uploaded = this._send(source, file);
    this._screen.focusQuestion();
    try {
      await this._desk.uploaded;
      await this._planner.plan();
    } catch (error) {
      if (!isAbort(error)) showProblem("ask-problem", error);
    }
  }

  /** Open what a person typed or dropped. @param {string} text */
  openAddress(text) {
    try {
      const source = sourceOf(text, api.contentAddress);
      showProblem("address-problem", null);
      clearId();
      this._put(source);
      void this._planner.plan();
      if (source.fileId) void this._nameUpload(source, source.fileId);
      this._screen.focusQuestion();
    } catch (error) {
      showProblem("address-problem", error);
      this._screen.focusAddress();
    }
  }

  /** Open the video of a stored analysis, and show that analysis. @param {Analysis} analysis */
  openAnalysis(analysis) {
    this._put(sourceOfAnalysis(analysis, api.contentAddress));
    this._desk.add(analysis);
  }

  /** Clear the desk and show the page as it opens. */
  clear() {
    this._release();
    this._desk.put(null);
    this._screen.openStart();
  }

  /** @param {Source} source */
  _put(source) {
    this._release();
    this._desk.put(source);
    this._screen.openDesk(source);
  }

  /** Free what the page alone holds of the video. Analyses go on. */
  _release() {
    const { source, isAsked } = this._desk;
    if (!source?.file) return;
    if (source.playable) URL.revokeObjectURL(source.playable);
    // Nobody asked about this upload, and nobody else knows its id.
    if (source.fileId && !isAsked) api.deleteFile(source.fileId).catch(() => {});
  }

  /** @param {Source} source @param {File} file */
  async _send(source, file) {
    const showShare = (/** @type {number} */ share) => {
      if (this._desk.source === source) this._screen.showUpload(share);
    };
    showShare(0);
    try {
      const fileId = await upload(file, showShare, this._desk.signal);
      Object.assign(source, { fileId, fields: { file_id: fileId } });
      announce("Uploaded");
    } finally {
      if (this._desk.source === source) this._screen.hideUpload();
    }
  }

  /** Show an upload's name, which says more than its id. @param {Source} source @param {string} fileId */
  async _nameUpload(source, fileId) {
    const file = await api.getFile(fileId).catch(() => null); // the plan reports an unknown id
    if (!file || this._desk.source !== source) return;
    source.name = file.filename;
    this._screen.nameVideo(file.filename);
  }
}

/** @param {unknown} error */
function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}
