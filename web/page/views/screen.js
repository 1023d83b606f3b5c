/** All views of one desk. */

import { byId } from "./dom.js";
import { ChunkList } from "./chunks.js";
import { clearRange } from "./options.js";
import { showEstimate, showPlanWords } from "./plan.js";
import { Player } from "./player.js";
import { showProblem } from "./problems.js";
import { Stages } from "./stages.js";
import { Thread } from "./thread.js";
import { Thumbnails } from "./thumbnails.js";
import { Timeline } from "./timeline.js";

/** @import { Desk } from "../desk/desk.js" */
/** @import { Source } from "../desk/source.js" */

const DRAW_MS = 16;

/**
 * @typedef {object} Actions
 * @property {(id: string) => void} onShow another analysis
 * @property {(id: string) => void} onCancel
 * @property {() => void} onStart the page as it opens is shown
 */

export class Screen {
  /** @param {Desk} desk @param {Actions} actions */
  constructor(desk, actions) {
    this._desk = desk;
    this._onStart = actions.onStart;
    this._isDrawDue = false;
    const onSeek = (/** @type {number} */ seconds) => this.player.seek(seconds);
    this.player = new Player((seconds) => this._timeline.moveTo(seconds));
    this._thumbnails = new Thumbnails();
    this._timeline = new Timeline({ onSeek, onThumbnail: (canvas, seconds) => this._thumbnails.draw(canvas, seconds) });
    this._chunks = new ChunkList(onSeek);
    this._stages = new Stages(onSeek);
    this._thread = new Thread({ ...actions, onSeek });
    desk.addEventListener("change", () => this._drawSoon());
  }

  /** Show the page as it opens. */
  openStart() {
    this.player.clear();
    this._thumbnails.load(null);
    this._open("start", "Longtake");
    this._onStart();
  }

  /** Show the desk with another video. @param {Source} source */
  openDesk(source) {
    clearRange();
    this._open("desk", `${source.name} · Longtake`);
    this.nameVideo(source.name);
    this.player.show(source);
    this._thumbnails.load(source.playable);
    showProblem("ask-problem", null);
  }

  /** @param {string} name */
  nameVideo(name) {
    byId("video-name").textContent = name;
  }

  /** Scroll to an analysis. @param {string} id */
  reveal(id) {
    this._draw();
    this._thread.reveal(id);
  }

  /** Seek to the start of the chunk before (-1) or after (1) the current one. @param {number} step */
  stepTo(step) {
    this.player.seek(this._timeline.neighbour(this.player.seconds, step));
  }

  /** @param {number} share of the file that is sent, from 0 to 1 */
  showUpload(share) {
    byId("upload").hidden = false;
    byId("upload-bar", HTMLProgressElement).value = share;
    byId("upload-words").textContent = share < 1 ? `Uploading, ${Math.floor(share * 100)} %` : "The server is storing the video";
  }

  hideUpload() {
    byId("upload").hidden = true;
  }

  focusQuestion() {
    byId("prompt").focus();
  }

  focusAddress() {
    byId("address").focus();
  }

  /** @param {"start" | "desk"} view @param {string} title */
  _open(view, title) {
    byId("start").hidden = view !== "start";
    byId("desk").hidden = view !== "desk";
    this.hideUpload();
    document.title = title;
    window.scrollTo(0, 0);
  }

  /** Draw once for all changes of this moment. */
  _drawSoon() {
    if (this._isDrawDue) return;
    this._isDrawDue = true;
    // Not requestAnimationFrame: it pauses in a hidden tab, where a long analysis goes on.
    setTimeout(() => {
      this._isDrawDue = false;
      this._draw();
    }, DRAW_MS);
  }

  _draw() {
    const { analyses, estimate, isPlanning, shown, shownId } = this._desk;
    const plan = shown?.plan ?? estimate?.plan ?? null;
    this._timeline.show(plan, shown);
    this._chunks.show(shown);
    this._stages.show(shown);
    this._thread.show(analyses, shownId);
    showPlanWords(plan, isPlanning);
    showEstimate(shown ? null : estimate);
    byId("prompt-label").textContent = analyses.length ? "Ask something else about it" : "What do you want to know?";
  }
}
