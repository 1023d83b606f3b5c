/** Small pictures of moments of the video, drawn from a second player that nobody sees. */

const SEEK_TIMEOUT_MS = 5000;
const FIRST_PICTURE_MS = 20_000;

/** @typedef {{canvas: HTMLCanvasElement, seconds: number}} Wish */

export class Thumbnails {
  constructor() {
    /** @type {Wish[]} */
    this._wishes = [];
    /** @type {HTMLVideoElement | null} */
    this._video = null;
  }

  /** @param {string | null} address of the video; null: there are none */
  load(address) {
    this._wishes = [];
    this._video?.removeAttribute("src");
    this._video = null;
    if (!address) return;
    const video = document.createElement("video");
    Object.assign(video, { muted: true, preload: "auto", playsInline: true, src: address });
    this._video = video;
    this._run(video);
  }

  /**
   * Draws the picture at `seconds`, as soon as those asked for before are drawn.
   * @param {HTMLCanvasElement} canvas
   * @param {number} seconds
   */
  draw(canvas, seconds) {
    this._wishes.push({ canvas, seconds });
    this._wake?.();
  }

  /** @param {HTMLVideoElement} video */
  async _run(video) {
    if (!(await happens(video, "loadeddata", FIRST_PICTURE_MS)) || !video.videoWidth) return;
    while (this._video === video) {
      const wish = this._wishes.shift();
      if (!wish) {
        await new Promise((resolve) => (this._wake = () => resolve(null)));
        continue;
      }
      if (!wish.canvas.isConnected) continue;
      const seeked = happens(video, "seeked", SEEK_TIMEOUT_MS);
      video.currentTime = Math.min(wish.seconds, Math.max(0, video.duration - 0.1));
      if (await seeked) paint(video, wish.canvas);
    }
  }
}

/** @param {HTMLVideoElement} video @param {HTMLCanvasElement} canvas fills it as CSS's object-fit: cover does */
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
