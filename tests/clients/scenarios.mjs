// What every client must get from every upstream: the table of scenarios, in no client's words.
//
// A client has two methods. `ask(turns, { tools, schema, stream, model, think })` answers with { text, calls, usage,
// pieces, thoughts, turn }; `failure(error)` says in one of the words of ERRORS which of its typed exceptions it threw. A
// turn is ["user", text], ["image", text] or ["document", text] with the picture or the paper below, ["calls", [{ id,
// name, arguments }]], ["results", [[call, text]]] or ["said", the `turn` of an answer]. `home` is the upstream of the
// client's own dialect, `upstream` the one that it is led to, `lacks` says by scenario, or upstream and
// scenario, what the package has no API for.

import { deepStrictEqual } from "node:assert";

export const SCHEMA = {
  type: "object",
  properties: { place: { type: "string" }, days: { type: "integer" }, rising: { type: "boolean" } },
  required: ["place", "days", "rising"],
  additionalProperties: false,
};
export const ARGUMENTS = {
  type: "object",
  properties: { place: { type: "string" }, days: { type: "integer" } },
  required: ["place", "days"],
};
// Both tools take ARGUMENTS.
export const TOOLS = [
  { name: "tide", description: "The height of the tide." },
  { name: "wind", description: "The strength of the wind." },
];
// One grey pixel, and a page without a word.
export const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";
export const PDF = Buffer.from(
  "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj " +
    "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj trailer<</Root 1 0 R>>",
).toString("base64");
// The mock's errors, which a model's name asks for.
const ERRORS = ["auth", "rate-limit", "not-found", "context-length"];

async function plain(client) {
  deepStrictEqual((await client.ask([["user", "hello there"]], {})).text, "You said: hello there");
}

async function stream(client) {
  const told = await client.ask([["user", "hello there"]], { stream: true });
  deepStrictEqual([told.text, told.pieces], ["You said: hello there", 4]);
}

// A whole turn: the user asks, the model calls, the tools answer, the model quotes them.
async function turn(client, text, names, stream) {
  const turns = [["user", text]];
  const { calls } = await client.ask(turns, { tools: TOOLS, stream });
  const wanted = names.map((name) => ({ name, arguments: { place: "mock", days: 7 } }));
  deepStrictEqual(calls.map(({ name, arguments: given }) => ({ name, arguments: given })), wanted);
  deepStrictEqual(new Set(calls.map((call) => call.id)).size, names.length);
  const results = calls.map((call, index) => [call, `${call.name} is ${index + 2}`]);
  turns.push(["calls", calls], ["results", results]);
  const told = await client.ask(turns, { tools: TOOLS, stream });
  deepStrictEqual(told.text, `The tool said: ${results.map(([, text]) => text).join(", ")}`);
}

async function tools(client) {
  for (const stream of [false, true]) await turn(client, "use a tool", ["tide"], stream);
}

async function parallel(client) {
  for (const stream of [false, true]) await turn(client, "both in parallel", ["tide", "wind"], stream);
}

// Some clients offer a tool for it, which not every upstream can be made to call; asked so, the mock calls it.
async function document(client) {
  const told = await client.ask([["user", "the tide as JSON, by a tool if need be"]], { schema: SCHEMA });
  deepStrictEqual(JSON.parse(told.text), { place: "mock", days: 7, rising: true });
}

async function errors(client) {
  for (const stream of [false, true]) {
    for (const name of ERRORS) {
      let raised = "nothing";
      try {
        await client.ask([["user", "hello"]], { model: `fault-error=${name}`, stream });
      } catch (error) {
        raised = client.failure(error);
      }
      deepStrictEqual([name, raised], [name, name]);
    }
  }
}

async function usage(client) {
  for (const stream of [false, true]) {
    deepStrictEqual((await client.ask([["user", "hello there"]], { stream })).usage, [12, 4]);
  }
}

async function image(client) {
  for (const stream of [false, true]) {
    const told = await client.ask([["image", "look here"]], { stream });
    deepStrictEqual(told.text, "You said: look here (with 1 image)");
  }
}

async function paper(client) {
  for (const stream of [false, true]) {
    const told = await client.ask([["document", "read this"]], { stream });
    deepStrictEqual(told.text, "You said: read this (with 1 document)");
  }
}

// The thoughts arrive, and come back with the next turn; the upstream sees them where they are in its own words.
async function reasoning(client) {
  for (const stream of [false, true]) {
    const turns = [["user", "hello there"]];
    const told = await client.ask(turns, { stream, think: true });
    deepStrictEqual([told.thoughts, told.text], ["The user said: hello there", "You said: hello there"]);
    turns.push(["said", told.turn], ["user", "and now"]);
    const again = await client.ask(turns, { stream, think: true });
    deepStrictEqual(again.thoughts, "The user said: and now");
    const seen = "You said: and now (with 1 thought)";
    const must = client.upstream === client.home || again.text === seen;
    deepStrictEqual(again.text, must ? seen : "You said: and now");
  }
}

// What an upstream's dialect has no room for.
export const NO_ROOM = { "ollama document": "Ollama's API takes no documents" };

export const SCENARIOS = {
  plain,
  stream,
  tools,
  parallel,
  json: document,
  errors,
  usage,
  image,
  document: paper,
  reasoning,
};
