// What every client must get from every upstream: the table of scenarios, in no client's words.
//
// A client has two methods. `ask(turns, { tools, schema, stream, model })` answers with { text, calls, usage, pieces };
// `failure(error)` says in one of the words of ERRORS which of its typed exceptions it threw. A turn is
// ["user", text], ["calls", [{ id, name, arguments }]] or ["results", [[call, text]]].

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

export const SCENARIOS = { plain, stream, tools, parallel, json: document, errors, usage };
