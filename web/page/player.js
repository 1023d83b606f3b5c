/** The player, and what stands in its place where the browser cannot play the video. */

import { byId } from "./dom.js";

export class Player {
  /** @param {(seconds: number) => void} onTime where the video is now */
  constructor(onTime) {
    this._video = /** @type {HTMLVideoElement} */ (byId("video"));
    this._none = byId("player-none");
    this._onTime = onTime;
    this._video.addEventListener("timeupdate", () => onTime(this._video.currentTime));
    this._video.addEventListener("seeking", () => onTime(this._video.currentTime));
    this._video.addEventListener("error", () => this._video.getAttribute("src") && this._cannotPlay());
    this._video.addEventListener("loadedmetadata", () => {
      if (!this._video.videoWidth) this._cannotPlay(); // a codec that is unknown here: the sound alone would play
    });
  }

  /** @param {import("./source.js").Source} source */
  show(source) {
    this._none.hidden = true;
    this._video.hidden = false;
    if (source.playable) this._video.src = source.playable;
    else this._instead("This video is shown on the server only. Its timeline and answers work as ever.");
  }

  clear() {
    this._video.removeAttribute("src");
    this._video.load();
  }

  /** @param {number} seconds */
  seek(seconds) {
    if (!this._video.hidden) this._video.currentTime = seconds;
    this._onTime(seconds);
    byId("player").scrollIntoView({ block: "nearest" });
  }

  /** @param {number} seconds */
  move(seconds) {
    this.seek(Math.max(0, this._video.currentTime + seconds));
  }

  toggle() {
    if (this._video.hidden) return;
    if (this._video.paused) this._video.play().catch(() => {}); // the browser may want a click first
    else this._video.pause();
  }

  get seconds() {
    return this._video.currentTime;
  }

  _cannotPlay() {
    this._instead("This browser cannot play the video: its codec, its container or its address. The server reads more than browsers do, so that asking works as ever.");
  }

  /** @param {string} words */
  _instead(words) {
    this._video.hidden = true;
    this._none.hidden = false;
    this._none.textContent = words;
  }
}
