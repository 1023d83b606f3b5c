/** Sending a file to the server, with progress: fetch cannot tell how much is sent. */

import { failure } from "./api.js";

/**
 * @param {File} file
 * @param {(share: number) => void} onProgress from 0 to 1
 * @param {AbortSignal} signal
 * @returns {Promise<{id: string}>} the server's file object
 */
export function upload(file, onProgress, signal) {
  const form = new FormData();
  form.append("file", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status < 300 && body) resolve(body);
      else reject(failure(request.status, body));
    };
    request.onerror = () => reject(new Error("The upload broke off: the server cannot be reached. Choose the file again."));
    request.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.open("POST", "v1/files");
    request.send(form);
  });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
