/** The served model, in the page's footer. */

import { servedModel } from "../server/api.js";
import { byId } from "./dom.js";
import { wordsOf } from "./problems.js";

export async function showModel() {
  try {
    const model = await servedModel();
    byId("model-words").textContent = model ? `Model: ${model.id}` : "The server lists no model.";
    byId("notice").textContent = model?.notice ?? "";
    byId("notice").hidden = !model?.notice;
  } catch (error) {
    byId("model-words").textContent = `The model is unavailable: ${wordsOf(error)}`;
  }
}
