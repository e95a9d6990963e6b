"""What LiteLLM sees of Pilotlight, as an API like OpenAI's."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches prices when it is imported

import litellm  # noqa: E402
import openai  # noqa: E402
from common import BASE_URL, HELLO, KEY, KEYS, SIMULATED, City, Weather, expect, model, run  # noqa: E402

litellm.num_retries = 0
litellm.suppress_debug_info = True


def ask(name, key=KEY, content=HELLO, messages=None, **more):
    messages = messages or [{"role": "user", "content": content}]
    return litellm.completion(
        model=f"openai/{name}", messages=messages, api_base=BASE_URL, api_key=key, max_retries=0, **more
    )


def cold_whole_answer():
    answer = ask(model("whole"), max_tokens=8)
    assert answer.choices[0].message.content.startswith(SIMULATED), answer
    assert answer.usage.completion_tokens == 8, answer


def cold_stream(mode):
    def check():
        stream = ask(model(mode), KEYS[mode], max_tokens=8, stream=True, stream_options={"include_usage": True})
        whole = litellm.stream_chunk_builder(list(stream))
        assert whole.choices[0].message.content.startswith(SIMULATED), whole
        assert whole.usage.completion_tokens == 8, whole

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather, messages = Weather(), [{"role": "user", "content": HELLO}]
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city", "days"]}
    offered = [{"type": "function", "function": {"name": "report", "parameters": schema}}]
    said = litellm.stream_chunk_builder(list(ask(model("whole"), messages=messages, tools=offered, stream=True))).choices[0].message
    (call,) = said.tool_calls
    result = weather.report(**json.loads(call.function.arguments))
    messages += [said, {"role": "tool", "tool_call_id": call.id, "content": result}]
    answer = ask(model("whole"), messages=messages, tools=offered)
    assert answer.choices[0].message.content.startswith(SIMULATED), answer


def structured():
    answer = ask(model("whole"), response_format=City)
    City.model_validate_json(answer.choices[0].message.content)


def typed_errors():
    expect(litellm.AuthenticationError, lambda: ask(model("whole"), "pl_wrong"), status_code=401)
    expect(litellm.NotFoundError, lambda: ask("no/such-model"), status_code=404)
    expect(litellm.RateLimitError, lambda: ask("full"), status_code=429)
    expect(litellm.ContextWindowExceededError, lambda: ask(model("whole"), content="word " * 9000))


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        e = expect(openai.APIError, lambda: list(ask(model(f"broken-{mode}"), KEYS[mode], stream=True)))
        assert "failed to start" in str(e), e


run(
    cold_whole_answer, cold_stream("comment"), cold_stream("chunk"), tools, structured, typed_errors, failure_after_keepalives
)  # fmt: skip
