// Calls the gate with the official Node packages and the Vercel AI SDK: `node run.mjs URL PAIRS`, where PAIRS is JSON,
// upstreams by client. Prints one line for each client, upstream and scenario; exits 1 when one failed.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { APICallError, generateText, jsonSchema, Output, streamText, tool } from "ai";
import OpenAI from "openai";

import { ARGUMENTS, NO_ROOM, PDF, PNG, SCENARIOS } from "./scenarios.mjs";

// What the SDK cannot send back it says; the scenarios look for it themselves.
globalThis.AI_SDK_LOG_WARNINGS = false;

class OpenAiChat {
  home = "openai";
  lacks = { "gemini reasoning": "a chat asks for effort only, and Gemini shows no thoughts unasked" };

  constructor(url, headers) {
    this.client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "mock", maxRetries: 0, defaultHeaders: headers });
  }

  async ask(turns, { tools, schema, stream, think, model = think ? "reason" : "any" }) {
    const body = { model, messages: turns.flatMap(([kind, said]) => this.messages(kind, said)) };
    if (tools) body.tools = tools.map((tool) => ({ type: "function", function: { ...tool, parameters: ARGUMENTS } }));
    if (think) body.reasoning_effort = "high";
    if (schema) body.response_format = { type: "json_schema", json_schema: { name: "tide", schema } };
    if (!stream) return this.told(await this.client.chat.completions.create(body));
    let pieces = 0;
    let thoughts = "";
    const events = this.client.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
    for await (const chunk of events) {
      if (chunk.choices[0]?.delta.content) pieces += 1;
      // The package joins only what it knows.
      thoughts += chunk.choices[0]?.delta.reasoning_content ?? "";
    }
    const told = this.told(await events.finalChatCompletion());
    return { ...told, pieces, thoughts, turn: { ...told.turn, reasoning_content: thoughts } };
  }

  messages(kind, said) {
    if (kind === "user") return [{ role: "user", content: said }];
    if (kind === "image" || kind === "document") {
      const url = `data:image/png;base64,${PNG}`;
      const file = { filename: "tide.pdf", file_data: `data:application/pdf;base64,${PDF}` };
      const part = kind === "image" ? { type: "image_url", image_url: { url } } : { type: "file", file };
      return [{ role: "user", content: [{ type: "text", text: said }, part] }];
    }
    if (kind === "said") return [said];
    if (kind === "results") {
      return said.map(([call, text]) => ({ role: "tool", tool_call_id: call.id, content: text }));
    }
    const calls = said.map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: JSON.stringify(call.arguments) },
    }));
    return [{ role: "assistant", tool_calls: calls }];
  }

  told({ choices: [{ message, finish_reason: reason }], usage }) {
    const calls = message.tool_calls ?? [];
    must(reason === (calls.length ? "tool_calls" : "stop"), reason);
    // No field of the package's own, but what all servers with open models have.
    const thoughts = message.reasoning_content ?? "";
    return {
      text: message.content ?? "",
      thoughts,
      turn: { role: "assistant", content: message.content, reasoning_content: thoughts },
      calls: calls.map(({ id, function: { name, arguments: given } }) => ({ id, name, arguments: JSON.parse(given) })),
      usage: [usage.prompt_tokens, usage.completion_tokens],
    };
  }

  failure(error) {
    return failureOf(OpenAI, error, () => error.code === "context_length_exceeded");
  }
}

class OpenAiResponses {
  home = "responses";
  lacks = {};

  constructor(url, headers) {
    this.client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "mock", maxRetries: 0, defaultHeaders: headers });
  }

  async ask(turns, { tools, schema, stream, think, model = think ? "reason" : "any" }) {
    const body = { model, input: turns.flatMap(([kind, said]) => this.items(kind, said)) };
    if (tools) body.tools = tools.map((tool) => ({ type: "function", strict: false, ...tool, parameters: ARGUMENTS }));
    if (think) {
      const reasoning = { effort: "high", summary: "auto" };
      Object.assign(body, { reasoning, store: false, include: ["reasoning.encrypted_content"] });
    }
    if (schema) body.text = { format: { type: "json_schema", name: "tide", schema } };
    if (!stream) return this.told(await this.client.responses.create(body));
    let pieces = 0;
    const events = this.client.responses.stream(body);
    for await (const event of events) if (event.type === "response.output_text.delta") pieces += 1;
    return { ...this.told(await events.finalResponse()), pieces };
  }

  items(kind, said) {
    if (kind === "user") return [{ role: "user", content: said }];
    if (kind === "image" || kind === "document") {
      const image = { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${PNG}` };
      const data = `data:application/pdf;base64,${PDF}`;
      const part = kind === "image" ? image : { type: "input_file", filename: "tide.pdf", file_data: data };
      return [{ role: "user", content: [{ type: "input_text", text: said }, part] }];
    }
    if (kind === "said") return said;
    if (kind === "results") {
      return said.map(([call, text]) => ({ type: "function_call_output", call_id: call.id, output: text }));
    }
    return said.map((call) => ({
      type: "function_call",
      call_id: call.id,
      name: call.name,
      arguments: JSON.stringify(call.arguments),
    }));
  }

  told({ status, output, usage }) {
    must(status === "completed", status);
    const content = output.flatMap((item) => (item.type === "message" ? item.content : []));
    const calls = output.filter((item) => item.type === "function_call");
    const summaries = output.flatMap((item) => (item.type === "reasoning" ? item.summary : []));
    return {
      thoughts: summaries.map((part) => part.text).join(""),
      turn: output,
      text: content.map((part) => part.text).join(""),
      calls: calls.map((call) => ({ id: call.call_id, name: call.name, arguments: JSON.parse(call.arguments) })),
      usage: [usage.input_tokens, usage.output_tokens],
    };
  }

  failure(error) {
    return failureOf(OpenAI, error, () => error.code === "context_length_exceeded");
  }
}

class AnthropicMessages {
  home = "anthropic";
  lacks = {};

  constructor(url, headers) {
    this.client = new Anthropic({ baseURL: url, apiKey: "mock", maxRetries: 0, defaultHeaders: headers });
  }

  async ask(turns, { tools, schema, stream, think, model = think ? "reason" : "any" }) {
    const body = { model, max_tokens: 100, messages: turns.map(([kind, said]) => this.message(kind, said)) };
    if (tools) body.tools = tools.map((tool) => ({ ...tool, input_schema: ARGUMENTS }));
    if (think) Object.assign(body, { max_tokens: 2048, thinking: { type: "enabled", budget_tokens: 1024 } });
    if (schema) body.output_config = { format: { type: "json_schema", schema } };
    if (!stream) return this.told(await this.client.messages.create(body));
    let pieces = 0;
    const events = this.client.messages.stream(body);
    for await (const event of events) if (event.delta?.type === "text_delta") pieces += 1;
    return { ...this.told(await events.finalMessage()), pieces };
  }

  message(kind, said) {
    if (kind === "user") return { role: "user", content: said };
    if (kind === "image" || kind === "document") {
      const [media_type, data] = kind === "image" ? ["image/png", PNG] : ["application/pdf", PDF];
      const part = { type: kind, source: { type: "base64", media_type, data } };
      return { role: "user", content: [part, { type: "text", text: said }] };
    }
    if (kind === "said") return { role: "assistant", content: said };
    if (kind === "results") {
      const results = said.map(([call, text]) => ({ type: "tool_result", tool_use_id: call.id, content: text }));
      return { role: "user", content: results };
    }
    const calls = said.map((call) => ({ type: "tool_use", id: call.id, name: call.name, input: call.arguments }));
    return { role: "assistant", content: calls };
  }

  told({ content, stop_reason: reason, usage }) {
    const calls = content.filter((block) => block.type === "tool_use");
    must(reason === (calls.length ? "tool_use" : "end_turn"), reason);
    return {
      text: content.map((block) => (block.type === "text" ? block.text : "")).join(""),
      thoughts: content.map((block) => (block.type === "thinking" ? block.thinking : "")).join(""),
      turn: content,
      calls: calls.map(({ id, name, input }) => ({ id, name, arguments: input })),
      usage: [usage.input_tokens, usage.output_tokens],
    };
  }

  failure(error) {
    return failureOf(Anthropic, error, () => error.error.error.type === "invalid_request_error");
  }
}

class AiSdk {
  // `model` makes the SDK's model from a name; `thinking` are the options of its maker that ask for thoughts.
  constructor(model, home, thinking) {
    this.model = model;
    this.home = home;
    this.thinking = thinking;
    this.lacks = thinking ? {} : { reasoning: "the package reads no thoughts in chats" };
  }

  async ask(turns, { tools, schema, stream, think, model = think ? "reason" : "any" }) {
    const messages = turns.flatMap(([kind, said]) => this.message(kind, said));
    const call = { model: this.model(model), maxRetries: 0, maxOutputTokens: 100, messages };
    const declared = ({ description }) => tool({ description, inputSchema: jsonSchema(ARGUMENTS) });
    if (tools) call.tools = Object.fromEntries(tools.map((tool) => [tool.name, declared(tool)]));
    if (think) call.providerOptions = this.thinking;
    if (schema) call.output = Output.object({ schema: jsonSchema(schema) });
    if (!stream) return this.told(await generateText(call));
    let pieces = 0;
    // Errors within a stream are parts of it; the default is to print them.
    const events = streamText({ ...call, onError: () => {} });
    for await (const part of events.fullStream) {
      if (part.type === "text-delta" && part.text) pieces += 1;
      if (part.type === "error") throw part.error;
    }
    const [text, reasoningText, response, toolCalls, finishReason, usage] = await Promise.all([
      events.text,
      events.reasoningText,
      events.response,
      events.toolCalls,
      events.finishReason,
      events.usage,
    ]);
    return { ...this.told({ text, reasoningText, response, toolCalls, finishReason, usage }), pieces };
  }

  message(kind, said) {
    if (kind === "user") return { role: "user", content: said };
    if (kind === "image" || kind === "document") {
      const image = { type: "image", image: `data:image/png;base64,${PNG}` };
      const file = { type: "file", data: PDF, mediaType: "application/pdf", filename: "tide.pdf" };
      return { role: "user", content: [{ type: "text", text: said }, kind === "image" ? image : file] };
    }
    if (kind === "said") return said;
    const named = (call) => ({ toolCallId: call.id, toolName: call.name });
    if (kind === "results") {
      const result = (text) => ({ type: "text", value: text });
      const results = said.map(([call, text]) => ({ type: "tool-result", ...named(call), output: result(text) }));
      return { role: "tool", content: results };
    }
    const calls = said.map((call) => ({ type: "tool-call", ...named(call), input: call.arguments }));
    return { role: "assistant", content: calls };
  }

  told({ text, reasoningText, response, toolCalls, finishReason, usage }) {
    must(finishReason === (toolCalls.length ? "tool-calls" : "stop"), finishReason);
    return {
      text,
      thoughts: reasoningText ?? "",
      turn: response.messages,
      calls: toolCalls.map((call) => ({ id: call.toolCallId, name: call.toolName, arguments: call.input })),
      usage: [usage.inputTokens, usage.outputTokens],
    };
  }

  failure(error) {
    if (!APICallError.isInstance(error)) return String(error);
    return { 400: "context-length", 401: "auth", 404: "not-found", 429: "rate-limit" }[error.statusCode] ?? String(error);
  }
}

// The word for an error of the two packages that name theirs alike.
function failureOf(sdk, error, isContext) {
  if (error instanceof sdk.AuthenticationError) return "auth";
  if (error instanceof sdk.NotFoundError) return "not-found";
  if (error instanceof sdk.RateLimitError) {
    return error.headers.get("retry-after") === "1" ? "rate-limit" : "rate limit without retry-after";
  }
  if (error instanceof sdk.BadRequestError && isContext()) return "context-length";
  return String(error);
}

function must(holds, found) {
  if (!holds) throw new Error(`ended with ${found}`);
}

const CLIENTS = {
  "node openai-chat": (url, headers) => new OpenAiChat(url, headers),
  "node openai-responses": (url, headers) => new OpenAiResponses(url, headers),
  "node anthropic": (url, headers) => new AnthropicMessages(url, headers),
  "node ai-sdk-openai-chat": (url, headers) =>
    new AiSdk(createOpenAI({ baseURL: `${url}/v1`, apiKey: "mock", headers }).chat, "openai"),
  "node ai-sdk-openai-responses": (url, headers) =>
    new AiSdk(createOpenAI({ baseURL: `${url}/v1`, apiKey: "mock", headers }).responses, "responses", {
      openai: { forceReasoning: true, reasoningEffort: "high", reasoningSummary: "auto", store: false },
    }),
  "node ai-sdk-anthropic": (url, headers) =>
    new AiSdk(createAnthropic({ baseURL: `${url}/v1`, apiKey: "mock", headers }), "anthropic", {
      anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } },
    }),
};

async function main(url, pairs) {
  let failed = 0;
  for (const [name, make] of Object.entries(CLIENTS)) {
    for (const upstream of pairs[name] ?? []) {
      const client = Object.assign(make(url, { "x-upstream": upstream }), { upstream });
      for (const [scenario, run] of Object.entries(SCENARIOS)) {
        const began = performance.now();
        const place = `${upstream} ${scenario}`;
        const lack = client.lacks[scenario] ?? client.lacks[place] ?? NO_ROOM[place];
        let said = lack ? `skip: ${lack}` : "ok";
        try {
          if (!lack) await run(client);
        } catch (error) {
          failed += 1;
          said = `FAIL ${error.constructor.name}: ${String(error.message).split(/\s+/).join(" ").slice(0, 300)}`;
        }
        const seconds = ((performance.now() - began) / 1000).toFixed(2).padStart(5);
        console.log(`${name.padEnd(30)} ${upstream.padEnd(10)} ${scenario.padEnd(9)} ${seconds} s  ${said}`);
      }
    }
  }
  return failed ? 1 : 0;
}

process.exit(await main(process.argv[2], JSON.parse(process.argv[3])));
