"""Holds the golden answers of a dialect against the types of its SDK, strictly: an unchanged client takes much that they do not allow."""

import json
import pathlib
import sys

import pydantic

dialect = sys.argv[1]
if dialect == "responses":
    from openai.types.responses import Response as Whole, ResponseStreamEvent as Event
else:
    from anthropic.types import Message as Whole, RawMessageStreamEvent as Event

event = pydantic.TypeAdapter(Event)
checked = 0
for file in sorted(pathlib.Path(sys.argv[2]).glob(f"{dialect}_*.txt")):
    parts = dict(p.split(" --\n", 1) for p in file.read_text().split("\n-- ")[1:])
    if "want answer.json" in parts:
        Whole.model_validate(json.loads(parts["want answer.json"]))
        checked += 1
    for said in parts.get("want answer.sse", "").split("\n\n"):
        kind, _, data = said.strip().partition("\ndata: ")
        if kind in ("event: ping", "event: error", ""):  # which the SDKs do not show, raise, and of which there is none
            continue
        event.validate_python(json.loads(data))
        checked += 1
assert checked > 20, checked
