/** Server-sent events over fetch. EventSource can neither send a body nor resume after a reload. */

/**
 * @typedef {object} ServerEvent
 * @property {string | null} id
 * @property {string} name
 * @property {unknown} data
 */

/**
 * Yield the events of a response as they arrive.
 * @param {Response} response
 * @returns {AsyncGenerator<ServerEvent>}
 */
export async function* serverEvents(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parseBlock(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // the connection may be broken already
  }
}

/** @param {string} block @returns {ServerEvent | null} null for a keep-alive comment */
function parseBlock(block) {
  const fields = block.split(/\r?\n/).map((line) => line.match(/^(\w+):? ?(.*)$/s));
  const valuesOf = (/** @type {string} */ name) => fields.flatMap((field) => (field?.[1] === name ? [field[2]] : []));
  const data = valuesOf("data");
  if (!data.length) return null;
  return { id: valuesOf("id")[0] ?? null, name: valuesOf("event")[0] ?? "message", data: JSON.parse(data.join("\n")) };
}
