// Server-Sent Events over fetch, as EventSource sends no Authorization field.

/** Takes a stream apart as it arrives: `feed(text)` gives the events that are complete. */
export class Parser {
  #rest = "";

  feed(text) {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop();
    return blocks.map((block) => Object.fromEntries([...block.matchAll(/^(\w+): ?(.*)$/gm)].map(([, name, value]) => [name, value])))
      .filter((event) => event.data);
  }
}

/** Read an open answer to its end, and hand over each event: `{ id, event, data }`. */
export async function read(response, hand) {
  const parser = new Parser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) parser.feed(part.value).forEach(hand);
}
