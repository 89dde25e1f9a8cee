"""Calls the gate with the official Python packages: `run.py URL PAIRS`, where PAIRS is JSON, upstreams by client.

Prints one line for each client, upstream and scenario; exits 1 when one failed.
"""

import base64
import json
import sys
import time

import anthropic
import ollama
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from scenarios import ARGUMENTS, NO_ROOM, PDF, PNG, SCENARIOS, Call, Told


class OpenAiChat:
    home = "openai"
    lacks = {"gemini reasoning": "a chat asks for effort only, and Gemini shows no thoughts unasked"}

    def __init__(self, url, headers):
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key="mock", max_retries=0, default_headers=headers)

    def ask(self, turns, tools=(), schema=None, stream=False, model="any", think=False):
        more = {}
        if think:
            model, more["reasoning_effort"] = "reason", "high"
        if tools:
            more["tools"] = [{"type": "function", "function": described(tool, "parameters")} for tool in tools]
        if schema:
            more["response_format"] = {"type": "json_schema", "json_schema": {"name": "tide", "schema": schema}}
        messages = [message for turn in turns for message in self.messages(turn)]
        if not stream:
            answer = self.client.chat.completions.create(model=model, messages=messages, **more)
            return self.told(answer)
        more["stream_options"] = {"include_usage": True}
        with self.client.chat.completions.stream(model=model, messages=messages, **more) as events:
            pieces = sum(event.type == "content.delta" and event.delta != "" for event in events)
            told = self.told(events.get_final_completion())
        told.pieces = pieces
        return told

    def messages(self, turn):
        kind, said = turn
        if kind == "user":
            return [{"role": "user", "content": said}]
        if kind == "image":
            part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
            return [{"role": "user", "content": [{"type": "text", "text": said}, part]}]
        if kind == "document":
            file = {"filename": "tide.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
            return [{"role": "user", "content": [{"type": "text", "text": said}, {"type": "file", "file": file}]}]
        if kind == "said":
            return [said]
        if kind == "results":
            return [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in said]
        functions = [(call.id, {"name": call.name, "arguments": json.dumps(call.arguments)}) for call in said]
        calls = [{"id": id, "type": "function", "function": function} for id, function in functions]
        return [{"role": "assistant", "tool_calls": calls}]

    def told(self, answer):
        message = answer.choices[0].message
        calls = message.tool_calls or []
        assert answer.choices[0].finish_reason == ("tool_calls" if calls else "stop"), answer.choices[0].finish_reason
        # No field of the package's own, but what all servers with open models have.
        thoughts = getattr(message, "reasoning_content", None) or ""
        return Told(
            text=message.content or "",
            thoughts=thoughts,
            turn={"role": "assistant", "content": message.content, "reasoning_content": thoughts},
            calls=[Call(call.id, call.function.name, json.loads(call.function.arguments)) for call in calls],
            usage=(answer.usage.prompt_tokens, answer.usage.completion_tokens),
        )

    def failure(self, error):
        return failure_of(openai, error, lambda: error.code == "context_length_exceeded")


class OpenAiResponses:
    home = "responses"
    lacks = {}

    def __init__(self, url, headers):
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key="mock", max_retries=0, default_headers=headers)

    def ask(self, turns, tools=(), schema=None, stream=False, model="any", think=False):
        more = {}
        if think:
            more = {"store": False, "include": ["reasoning.encrypted_content"]}
            more["reasoning"] = {"effort": "high", "summary": "auto"}
            model = "reason"
        if tools:
            more["tools"] = [{"type": "function", "strict": False, **described(tool, "parameters")} for tool in tools]
        if schema:
            more["text"] = {"format": {"type": "json_schema", "name": "tide", "schema": schema}}
        items = [item for turn in turns for item in self.items(turn)]
        if not stream:
            return self.told(self.client.responses.create(model=model, input=items, **more))
        with self.client.responses.stream(model=model, input=items, **more) as events:
            pieces = sum(event.type == "response.output_text.delta" for event in events)
            told = self.told(events.get_final_response())
        told.pieces = pieces
        return told

    def items(self, turn):
        kind, said = turn
        if kind == "user":
            return [{"role": "user", "content": said}]
        if kind == "image":
            part = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
            return [{"role": "user", "content": [{"type": "input_text", "text": said}, part]}]
        if kind == "document":
            part = {"type": "input_file", "filename": "tide.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
            return [{"role": "user", "content": [{"type": "input_text", "text": said}, part]}]
        if kind == "said":
            return said
        if kind == "results":
            return [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text in said]
        pairs = [(call, json.dumps(call.arguments)) for call in said]
        return [{"type": "function_call", "call_id": call.id, "name": call.name, "arguments": text} for call, text in pairs]

    def told(self, answer):
        assert answer.status == "completed", answer.status
        calls = [item for item in answer.output if item.type == "function_call"]
        thoughts = [part.text for item in answer.output if item.type == "reasoning" for part in item.summary]
        return Told(
            text=answer.output_text,
            thoughts="".join(thoughts),
            turn=[item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output],
            calls=[Call(call.call_id, call.name, json.loads(call.arguments)) for call in calls],
            usage=(answer.usage.input_tokens, answer.usage.output_tokens),
        )

    def failure(self, error):
        return failure_of(openai, error, lambda: error.code == "context_length_exceeded")


class Anthropic:
    home = "anthropic"
    lacks = {}

    def __init__(self, url, headers):
        self.client = anthropic.Anthropic(base_url=url, api_key="mock", max_retries=0, default_headers=headers)

    def ask(self, turns, tools=(), schema=None, stream=False, model="any", think=False):
        more = {"max_tokens": 100}
        if think:
            more = {"max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 1024}}
            model = "reason"
        if tools:
            more["tools"] = [described(tool, "input_schema") for tool in tools]
        if schema:
            more["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        messages = [self.message(turn) for turn in turns]
        if not stream:
            return self.told(self.client.messages.create(model=model, messages=messages, **more))
        with self.client.messages.stream(model=model, messages=messages, **more) as events:
            pieces = sum(event.type == "text" for event in events)
            told = self.told(events.get_final_message())
        told.pieces = pieces
        return told

    def message(self, turn):
        kind, said = turn
        if kind == "user":
            return {"role": "user", "content": said}
        if kind in ("image", "document"):
            media, data = ("image/png", PNG) if kind == "image" else ("application/pdf", PDF)
            part = {"type": kind, "source": {"type": "base64", "media_type": media, "data": data}}
            return {"role": "user", "content": [part, {"type": "text", "text": said}]}
        if kind == "said":
            return {"role": "assistant", "content": said}
        if kind == "results":
            results = [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in said]
            return {"role": "user", "content": results}
        calls = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in said]
        return {"role": "assistant", "content": calls}

    def told(self, message):
        calls = [block for block in message.content if block.type == "tool_use"]
        assert message.stop_reason == ("tool_use" if calls else "end_turn"), message.stop_reason
        return Told(
            text="".join(block.text for block in message.content if block.type == "text"),
            thoughts="".join(block.thinking for block in message.content if block.type == "thinking"),
            turn=message.content,
            calls=[Call(call.id, call.name, call.input) for call in calls],
            usage=(message.usage.input_tokens, message.usage.output_tokens),
        )

    def failure(self, error):
        return failure_of(anthropic, error, lambda: error.body["error"]["type"] == "invalid_request_error")


class Ollama:
    home = "ollama"
    lacks = {"document": "the package takes no documents"}

    def __init__(self, url, headers):
        self.client = ollama.Client(host=url, headers=headers)

    def ask(self, turns, tools=(), schema=None, stream=False, model="any", think=False):
        more = {"think": True} if think else {}
        model = "reason" if think else model
        tools = [{"type": "function", "function": described(tool, "parameters")} for tool in tools]
        messages = [message for turn in turns for message in self.messages(turn)]
        answer = self.client.chat(model, messages, tools=tools or None, format=schema, stream=stream, **more)
        lines = list(answer) if stream else [answer]
        texts = [line.message.content for line in lines if line.message.content]
        calls = [call.function for line in lines for call in line.message.tool_calls or []]
        assert lines[-1].done and lines[-1].done_reason == "stop", lines[-1]
        thoughts = "".join(line.message.thinking or "" for line in lines)
        return Told(
            text="".join(texts),
            thoughts=thoughts,
            turn={"role": "assistant", "content": "".join(texts), "thinking": thoughts},
            # This client drops the ids that the server gives.
            calls=[Call(str(number), call.name, dict(call.arguments)) for number, call in enumerate(calls)],
            usage=(lines[-1].prompt_eval_count, lines[-1].eval_count),
            pieces=len(texts),
        )

    def messages(self, turn):
        kind, said = turn
        if kind == "user":
            return [{"role": "user", "content": said}]
        if kind == "image":
            return [{"role": "user", "content": said, "images": [PNG]}]
        if kind == "said":
            return [said]
        if kind == "results":
            return [{"role": "tool", "tool_name": call.name, "content": text} for call, text in said]
        calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in said]
        return [{"role": "assistant", "content": "", "tool_calls": calls}]

    def failure(self, error):
        assert isinstance(error, ollama.ResponseError), repr(error)
        return {401: "auth", 404: "not-found", 429: "rate-limit", 400: "context-length"}.get(error.status_code, error)


class GoogleGenAi:
    home = "gemini"
    lacks = {}

    def __init__(self, url, headers):
        options = types.HttpOptions(base_url=url, headers=headers)
        self.client = genai.Client(api_key="mock", http_options=options)

    def ask(self, turns, tools=(), schema=None, stream=False, model="any", think=False):
        config = types.GenerateContentConfig()
        config.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)
        if think:
            model, config.thinking_config = "reason", types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        if tools:
            declarations = [described(tool, "parameters_json_schema") for tool in tools]
            config.tools = [types.Tool(function_declarations=declarations)]
        if schema:
            config.response_mime_type = "application/json"
            config.response_json_schema = schema
        contents = [self.content(turn) for turn in turns]
        models = self.client.models
        make = models.generate_content_stream if stream else models.generate_content
        answer = make(model=model, contents=contents, config=config)
        chunks = list(answer) if stream else [answer]
        contents = [chunk.candidates[0].content for chunk in chunks]
        parts = [part for content in contents if content for part in content.parts or []]
        texts = [part.text for part in parts if part.text and not part.thought]
        calls = [part.function_call for part in parts if part.function_call]
        assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP, chunks[-1]
        counts = chunks[-1].usage_metadata
        return Told(
            text="".join(texts),
            thoughts="".join(part.text or "" for part in parts if part.thought),
            turn=types.Content(role="model", parts=parts),
            calls=[Call(call.id or str(number), call.name, call.args or {}) for number, call in enumerate(calls)],
            usage=(counts.prompt_token_count, counts.candidates_token_count),
            pieces=len(texts),
        )

    def content(self, turn):
        kind, said = turn
        if kind == "user":
            return types.Content(role="user", parts=[types.Part(text=said)])
        if kind in ("image", "document"):
            media, data = ("image/png", PNG) if kind == "image" else ("application/pdf", PDF)
            part = types.Part.from_bytes(data=base64.b64decode(data), mime_type=media)
            return types.Content(role="user", parts=[types.Part(text=said), part])
        if kind == "said":
            return said
        if kind == "results":
            parts = [types.Part.from_function_response(name=call.name, response={"result": text}) for call, text in said]
            return types.Content(role="user", parts=parts)
        parts = [types.Part.from_function_call(name=call.name, args=call.arguments) for call in said]
        return types.Content(role="model", parts=parts)

    def failure(self, error):
        assert isinstance(error, genai_errors.ClientError), repr(error)
        # A wrong key is a 400 with a reason here, where others have a 401.
        if error.code == 401 or "API_KEY_INVALID" in str(error.details):
            return "auth"
        statuses = {"NOT_FOUND": "not-found", "RESOURCE_EXHAUSTED": "rate-limit", "INVALID_ARGUMENT": "context-length"}
        return statuses.get(error.status, error)


def described(tool, schema):
    """A tool's declaration with its schema in the field of this name."""
    name, description = tool
    return {"name": name, "description": description, schema: ARGUMENTS}


def failure_of(package, error, is_context):
    """The word for an exception of the two packages that name theirs alike."""
    if isinstance(error, package.AuthenticationError):
        return "auth"
    if isinstance(error, package.NotFoundError):
        return "not-found"
    if isinstance(error, package.RateLimitError):
        return "rate-limit" if error.response.headers.get("retry-after") == "1" else "rate limit without retry-after"
    if isinstance(error, package.BadRequestError) and is_context():
        return "context-length"
    return repr(error)


CLIENTS = {
    "python openai-chat": OpenAiChat,
    "python openai-responses": OpenAiResponses,
    "python anthropic": Anthropic,
    "python ollama": Ollama,
    "python google-genai": GoogleGenAi,
}


def main(url, pairs):
    failed = 0
    for name, make in CLIENTS.items():
        for upstream in pairs.get(name, []):
            client = make(url, {"x-upstream": upstream})
            client.upstream = upstream
            for scenario, run in SCENARIOS.items():
                began = time.monotonic()
                lack = client.lacks.get(scenario) or client.lacks.get(f"{upstream} {scenario}") or NO_ROOM.get(f"{upstream} {scenario}")
                try:
                    if not lack:
                        run(client)
                    said = f"skip: {lack}" if lack else "ok"
                except Exception as error:  # noqa: BLE001: whatever it is, it is told
                    failed += 1
                    said = f"FAIL {type(error).__name__}: {' '.join(str(error).split())[:300]}"
                print(f"{name:30} {upstream:10} {scenario:9} {time.monotonic() - began:5.2f} s  {said}", flush=True)
    return 1 if failed else 0


sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))
