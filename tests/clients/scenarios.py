"""What every client must get from every upstream: the table of scenarios, in no client's words.

A client has two methods. `ask(turns, tools, schema, stream, model, think)` answers with a `Told`; `failure(error)` says
in one of the words of `ERRORS` which of its typed exceptions it raised. A turn is ("user", text), ("image", text) or
("document", text) with the picture or the paper below, ("calls", [Call]), ("results", [(Call, text)]) or ("said", the
`turn` of an answer). `home` is the upstream of the client's own dialect, `upstream` the one that it is led to, `lacks`
says by scenario, or upstream and scenario, what the package has no API for.
"""

import base64
import json
from dataclasses import dataclass, field

SCHEMA = {
    "type": "object",
    "properties": {"place": {"type": "string"}, "days": {"type": "integer"}, "rising": {"type": "boolean"}},
    "required": ["place", "days", "rising"],
    "additionalProperties": False,
}
ARGUMENTS = {
    "type": "object",
    "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["place", "days"],
}
# Names and descriptions; both tools take ARGUMENTS.
TOOLS = [("tide", "The height of the tide."), ("wind", "The strength of the wind.")]
# One grey pixel, and a page without a word.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
PDF = base64.b64encode(
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj trailer<</Root 1 0 R>>"
).decode()
# The mock's errors, which a model's name asks for.
ERRORS = ["auth", "rate-limit", "not-found", "context-length"]


@dataclass
class Call:
    """A tool that the model calls."""

    id: str
    name: str
    arguments: dict


@dataclass
class Told:
    """One answer."""

    text: str = ""
    calls: list = field(default_factory=list)
    # Tokens in and out.
    usage: tuple = ()
    # How many pieces of text a stream had.
    pieces: int = 0
    # What the model thought.
    thoughts: str = ""
    # The answer, as the client sends it back.
    turn: object = None


def same(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r} instead of {wanted!r}")


def plain(client):
    same(client.ask([("user", "hello there")]).text, "You said: hello there")


def stream(client):
    told = client.ask([("user", "hello there")], stream=True)
    same(told.text, "You said: hello there")
    same(told.pieces, 4)


def turn(client, text, names, streamed):
    """A whole turn: the user asks, the model calls, the tools answer, the model quotes them."""
    turns = [("user", text)]
    calls = client.ask(turns, tools=TOOLS, stream=streamed).calls
    same([(call.name, call.arguments) for call in calls], [(name, {"place": "mock", "days": 7}) for name in names])
    same(len({call.id for call in calls}), len(names))
    results = [(call, f"{call.name} is {number}") for number, call in enumerate(calls, 2)]
    turns += [("calls", calls), ("results", results)]
    wanted = "The tool said: " + ", ".join(text for _, text in results)
    same(client.ask(turns, tools=TOOLS, stream=streamed).text, wanted)


def tools(client):
    turn(client, "use a tool", ["tide"], False)
    turn(client, "use a tool", ["tide"], True)


def parallel(client):
    turn(client, "both in parallel", ["tide", "wind"], False)
    turn(client, "both in parallel", ["tide", "wind"], True)


def document(client):
    # Some clients offer a tool for it, which not every upstream can be made to call; asked so, the mock calls it.
    told = client.ask([("user", "the tide as JSON, by a tool if need be")], schema=SCHEMA)
    same(json.loads(told.text), {"place": "mock", "days": 7, "rising": True})


def errors(client):
    for streamed in (False, True):
        for name in ERRORS:
            try:
                client.ask([("user", "hello")], model=f"fault-error={name}", stream=streamed)
            except Exception as error:  # noqa: BLE001: the client says which of its own it is
                same((name, client.failure(error)), (name, name))
            else:
                raise AssertionError(f"{name} raised nothing")


def usage(client):
    for streamed in (False, True):
        same(client.ask([("user", "hello there")], stream=streamed).usage, (12, 4))


def image(client):
    for streamed in (False, True):
        told = client.ask([("image", "look here")], stream=streamed)
        same(told.text, "You said: look here (with 1 image)")


def paper(client):
    for streamed in (False, True):
        told = client.ask([("document", "read this")], stream=streamed)
        same(told.text, "You said: read this (with 1 document)")


def reasoning(client):
    """The thoughts arrive, and come back with the next turn; the upstream sees them where they are in its own words."""
    for streamed in (False, True):
        turns = [("user", "hello there")]
        told = client.ask(turns, stream=streamed, think=True)
        same((told.thoughts, told.text), ("The user said: hello there", "You said: hello there"))
        turns += [("said", told.turn), ("user", "and now")]
        again = client.ask(turns, stream=streamed, think=True)
        same(again.thoughts, "The user said: and now")
        seen = "You said: and now (with 1 thought)"
        same(again.text, seen if client.upstream == client.home or again.text == seen else "You said: and now")


# What an upstream's dialect has no room for.
NO_ROOM = {"ollama document": "Ollama's API takes no documents"}

SCENARIOS = {
    "plain": plain,
    "stream": stream,
    "tools": tools,
    "parallel": parallel,
    "json": document,
    "errors": errors,
    "usage": usage,
    "image": image,
    "document": paper,
    "reasoning": reasoning,
}
