/** Ways to choose a video: the file dialog, drag and drop, the address field. */

import { byId } from "./dom.js";

/**
 * @param {(file: File) => void} onFile
 * @param {(text: string) => void} onAddress
 */
export function setUpChoosing(onFile, onAddress) {
  setUpFileDialog(onFile);
  setUpDropping(onFile, onAddress);
  byId("pick").addEventListener("submit", (event) => {
    event.preventDefault();
    onAddress(byId("address", HTMLInputElement).value);
  });
}

/** @param {(file: File) => void} onFile */
function setUpFileDialog(onFile) {
  const file = byId("file", HTMLInputElement);
  byId("choose-file").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    const chosen = file.files?.[0];
    file.value = ""; // so that the same file can be chosen again
    if (chosen) onFile(chosen);
  });
}

/** @param {(file: File) => void} onFile @param {(text: string) => void} onAddress */
function setUpDropping(onFile, onAddress) {
  const box = byId("drop");
  // The whole page accepts drops: a video that misses the box must not replace the page.
  for (const name of /** @type {const} */ (["dragenter", "dragover"])) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      box.dataset.over = "";
    });
  }
  for (const name of ["dragleave", "drop"]) {
    document.addEventListener(name, () => {
      delete box.dataset.over;
    });
  }
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const dropped = event.dataTransfer?.files[0];
    const text = event.dataTransfer?.getData("text/uri-list") || event.dataTransfer?.getData("text/plain");
    if (dropped) onFile(dropped);
    else if (text) onAddress(text);
  });
}
