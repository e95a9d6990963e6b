"""What Hugging Face's InferenceClient sees of Pilotlight."""

import functools
import json

from common import BASE_URL, HELLO, KEY, KEYS, SIMULATED, City, Weather, expect, model, run
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

MESSAGES = [{"role": "user", "content": HELLO}]


@functools.cache  # a client that is collected closes its streams
def client(key):
    return InferenceClient(base_url=BASE_URL, api_key=key)


def ask(name, key=KEY, messages=MESSAGES, **more):
    return client(key).chat_completion(messages, model=name, **more)


def cold_whole_answer():
    answer = ask(model("whole"), max_tokens=8)
    assert answer.choices[0].message.content.startswith(SIMULATED), answer
    assert answer.usage.completion_tokens == 8, answer


def cold_stream(mode):
    def check():
        chunks = list(ask(model(mode), KEYS[mode], max_tokens=8, stream=True, stream_options={"include_usage": True}))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text.startswith(SIMULATED), text
        assert chunks[-1].usage.completion_tokens == 8, chunks[-1]

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather, messages = Weather(), list(MESSAGES)
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city", "days"]}
    offered = [{"type": "function", "function": {"name": "report", "description": "Tell the weather.", "parameters": schema}}]
    said = ask(model("whole"), messages=messages, tools=offered, tool_choice="required").choices[0].message
    (call,) = said.tool_calls
    result = weather.report(**json.loads(call.function.arguments))
    messages += [said, {"role": "tool", "tool_call_id": call.id, "content": result}]
    answer = ask(model("whole"), messages=messages, tools=offered, tool_choice="auto")
    assert answer.choices[0].message.content.startswith(SIMULATED), answer
    streamed = list(ask(model("whole"), tools=offered, stream=True))
    arguments = "".join(c.choices[0].delta.tool_calls[0].function.arguments for c in streamed if c.choices[0].delta.tool_calls)
    weather.report(**json.loads(arguments))


def structured():
    schema = {"type": "json_schema", "json_schema": {"name": "city", "schema": City.model_json_schema(), "strict": True}}
    City.model_validate_json(ask(model("whole"), response_format=schema).choices[0].message.content)
    answer = ask(model("whole"), response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content), answer


def typed_errors():
    for status, name, key, content in (
        (401, model("whole"), "pl_wrong", HELLO),
        (404, "no/such-model", KEY, HELLO),
        (429, "full", KEY, HELLO),
        (400, model("whole"), KEY, "word " * 9000),
    ):
        e = expect(HfHubHTTPError, lambda: ask(name, key, [{"role": "user", "content": content}]))
        assert e.response.status_code == status, (status, e)


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        try:
            chunks = list(ask(model(f"broken-{mode}"), KEYS[mode], stream=True))
        except Exception as e:
            assert "start" in str(e), e
        else:
            raise AssertionError(f"{mode}: the stream of a model that cannot start looked complete: {chunks}")


run(
    cold_whole_answer, cold_stream("comment"), cold_stream("chunk"), tools, structured, typed_errors, failure_after_keepalives
)  # fmt: skip
