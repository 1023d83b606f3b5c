/** Thumbnails of the video, drawn from a second, hidden player. */

const SEEK_TIMEOUT_MS = 5000;
const FIRST_PICTURE_MS = 20_000;

/** @typedef {{canvas: HTMLCanvasElement, seconds: number}} Wish */

export class Thumbnails {
  constructor() {
    /** @type {Wish[]} */
    this._wishes = [];
    /** @type {HTMLVideoElement | null} */
    this._video = null;
    this._wake = () => {};
  }

  /** @param {string | null} address of the video; null: draw none */
  load(address) {
    this._wishes = [];
    this._video?.removeAttribute("src");
    this._video = null;
    if (!address) return;
    const video = document.createElement("video");
    Object.assign(video, { muted: true, preload: "auto", playsInline: true, src: address });
    this._video = video;
    void this._run(video);
  }

  /**
   * Draw the picture at `seconds` once the earlier requests are drawn.
   * @param {HTMLCanvasElement} canvas
   * @param {number} seconds
   */
  draw(canvas, seconds) {
    this._wishes.push({ canvas, seconds });
    this._wake();
  }

  /** @param {HTMLVideoElement} video */
  async _run(video) {
    if (!(await happens(video, "loadeddata", FIRST_PICTURE_MS)) || !video.videoWidth) return;
    while (this._video === video) {
      const wish = this._wishes.shift();
      if (!wish) {
        await this._wished();
        continue;
      }
      if (!wish.canvas.isConnected) continue;
      const seeked = happens(video, "seeked", SEEK_TIMEOUT_MS);
      video.currentTime = Math.min(wish.seconds, Math.max(0, video.duration - 0.1));
      if (await seeked) paint(video, wish.canvas);
    }
  }

  /** @returns {Promise<void>} settles at the next request */
  _wished() {
    return new Promise((resolve) => {
      this._wake = resolve;
    });
  }
}

/** @param {HTMLVideoElement} video @param {HTMLCanvasElement} canvas filled as by CSS's object-fit: cover */
function paint(video, canvas) {
  const scale = Math.max(canvas.width / video.videoWidth, canvas.height / video.videoHeight);
  const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
  canvas.getContext("2d")?.drawImage(video, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  canvas.dataset.drawn = "";
}

/** @param {HTMLVideoElement} video @param {string} name @param {number} timeoutMs @returns {Promise<boolean>} */
function happens(video, name, timeoutMs) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const end = (/** @type {boolean} */ value) => () => {
      clearTimeout(timer);
      resolve(value);
    };
    video.addEventListener(name, end(true), { once: true });
    video.addEventListener("error", end(false), { once: true });
  });
}
