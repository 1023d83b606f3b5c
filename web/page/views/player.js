/** The player, and a message in its place if the browser cannot play the video. */

import { byId } from "./dom.js";

/** @import { Source } from "../desk/source.js" */

export class Player {
  /** @param {(seconds: number) => void} onTime called with the current time */
  constructor(onTime) {
    this._video = byId("video", HTMLVideoElement);
    this._none = byId("player-none");
    this._onTime = onTime;
    this._video.addEventListener("timeupdate", () => onTime(this._video.currentTime));
    this._video.addEventListener("seeking", () => onTime(this._video.currentTime));
    this._video.addEventListener("error", () => this._video.getAttribute("src") && this._cannotPlay());
    this._video.addEventListener("loadedmetadata", () => {
      if (!this._video.videoWidth) this._cannotPlay(); // an unknown video codec: only the sound would play
    });
  }

  /** @param {Source} source */
  show(source) {
    this._none.hidden = true;
    this._video.hidden = false;
    if (source.playable) this._video.src = source.playable;
    else this._replace("Only the server can read this video. Its timeline and answers work as usual.");
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
    this._replace("This browser cannot play the video: its codec, its container or its address. The server reads more formats than browsers do, so questions work as usual.");
  }

  /** @param {string} words */
  _replace(words) {
    this._video.hidden = true;
    this._none.hidden = false;
    this._none.textContent = words;
  }
}
