/** Server-sent events over fetch: EventSource can neither send a body nor say where to go on after a reload. */

/**
 * @typedef {object} ServerEvent
 * @property {string | null} id
 * @property {string} name
 * @property {any} data
 */

/**
 * The events of a response, as they come.
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
        const event = parsed(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it may have broken already
  }
}

/** @param {string} block @returns {ServerEvent | null} null for a comment, which keeps the connection alive */
function parsed(block) {
  /** @type {Record<string, string[]>} */
  const fields = {};
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = line.match(/^(\w+):? ?(.*)$/) ?? [];
    if (name) (fields[name] ??= []).push(value);
  }
  if (!fields.data) return null;
  return { id: fields.id?.[0] ?? null, name: fields.event?.[0] ?? "message", data: JSON.parse(fields.data.join("\n")) };
}
