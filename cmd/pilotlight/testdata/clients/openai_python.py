"""What an unchanged openai client for Python sees of Pilotlight."""

import json

import openai
import pydantic
from common import HELLO, KEY, KEYS, NARROW_KEY, SIMULATED, City, Weather, expect, model, run

MESSAGES = [{"role": "user", "content": HELLO}]


def client(key=KEY):
    return openai.OpenAI(api_key=key, max_retries=0)


def ask(name, key=KEY, messages=MESSAGES, max_tokens=8, **more):
    return client(key).chat.completions.create(model=name, messages=messages, max_tokens=max_tokens, **more)


def cold_whole_answer():
    raw = client().chat.completions.with_raw_response.create(model=model("whole"), messages=MESSAGES, max_tokens=8)
    assert raw.headers["x-pilotlight-start"] == "cold", raw.headers
    answer = raw.parse()
    assert answer.choices[0].message.content.startswith(SIMULATED), answer
    assert answer.usage.completion_tokens == 8, answer
    again = ask(model("whole"))
    assert again.choices[0].finish_reason in ("stop", "length"), again


def cold_stream(mode, **more):
    def check():
        chunks = list(ask(model(mode), stream=True, stream_options={"include_usage": True}, **more))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text.startswith(SIMULATED), f"{mode}: {text}"
        assert len({c.id for c in chunks}) == 1, chunks
        assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 8, chunks[-1]

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather, messages = Weather(), list(MESSAGES)
    offered = [openai.pydantic_function_tool(Report)]
    with client().chat.completions.stream(model=model("whole"), messages=messages, tools=offered) as stream:
        said = stream.get_final_completion().choices[0].message
    (call,) = said.tool_calls
    asked = call.function.parsed_arguments
    messages += [said, {"role": "tool", "tool_call_id": call.id, "content": weather.report(asked.city, asked.days)}]
    answer = ask(model("whole"), messages=messages, tools=offered)
    assert answer.choices[0].message.content.startswith(SIMULATED), answer
    forced = ask(model("whole"), max_tokens=64, tools=offered, tool_choice="required").choices[0]
    assert forced.finish_reason == "tool_calls" and json.loads(forced.message.tool_calls[0].function.arguments), forced


class Report(pydantic.BaseModel):
    """Tell the weather of a city for the next days."""

    city: str
    days: int


def structured():
    answer = client().chat.completions.parse(model=model("whole"), messages=MESSAGES, response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City), answer
    with client().chat.completions.stream(model=model("whole"), messages=MESSAGES, response_format=City) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, City)
    loose = ask(model("whole"), max_tokens=64, response_format={"type": "json_object"}).choices[0]
    assert json.loads(loose.message.content), loose


def what_sdks_say_that_changes_nothing():
    ask(model("whole"), metadata={"a": "b"}, store=False, service_tier="auto", prompt_cache_key="k", safety_identifier="s",
        parallel_tool_calls=True, verbosity="low", modalities=["text"], prediction=None)  # fmt: skip


def text_completion():
    answer = client().completions.create(model=model("whole"), prompt="Once upon", max_tokens=4)
    assert answer.choices[0].text, answer


def models():
    ids = [m.id for m in client().models.list()]
    assert model("whole") in ids, ids
    assert client().models.retrieve(model("whole")).id == model("whole")


def typed_errors():
    cold = model("whole")
    expect(openai.AuthenticationError, lambda: ask(cold, "pl_wrong"), status_code=401, code="invalid_api_key")
    expect(openai.PermissionDeniedError, lambda: ask(cold, NARROW_KEY), status_code=403, code="permission_denied")
    expect(openai.NotFoundError, lambda: ask("no/such-model"), status_code=404, code="model_not_found")
    expect(openai.RateLimitError, lambda: ask("full"), status_code=429, code="queue_full")
    only_hot = {"X-Pilotlight-Max-Wait": "0s"}
    expect(openai.InternalServerError, lambda: ask("never-hot", extra_headers=only_hot), status_code=503, code="not_hot")
    unknown = {"frobnicate": 1}
    expect(openai.BadRequestError, lambda: ask(cold, extra_body=unknown), code="invalid_request", param="frobnicate")
    mistyped = {"max_tokens": "ten"}  # as the engine says, and not in its words
    e = expect(openai.BadRequestError, lambda: ask(cold, extra_body=mistyped), code="invalid_request", param="max_tokens")
    assert "loc" not in e.message, e
    long = [{"role": "user", "content": "word " * 9000}]
    expect(openai.BadRequestError, lambda: ask(cold, messages=long), code="context_length_exceeded", param="messages")


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        stream = ask(model(f"broken-{mode}"), KEYS[mode], stream=True)

        def read():
            for m in stream:
                assert not m.choices[0].delta.content, m

        e = expect(openai.APIError, read)
        assert e.code in ("activation_failed", "activation_timeout"), (mode, e, e.code)


run(
    cold_whole_answer,
    cold_stream("off", extra_headers={"X-Pilotlight-Keepalive": "off"}),
    cold_stream("comment", key=KEYS["comment"]),
    cold_stream("chunk", key=KEYS["chunk"]),
    tools,
    structured,
    what_sdks_say_that_changes_nothing,
    text_completion,
    models,
    typed_errors,
    failure_after_keepalives,
)
