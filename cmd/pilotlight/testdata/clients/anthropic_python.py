"""What an unchanged anthropic client for Python sees of the Messages API."""

import anthropic
from common import BASE_URL, HELLO, KEY, KEYS, SIMULATED, Town, Weather, expect, model, run

HOST = BASE_URL.removesuffix("/v1")
MESSAGES = [{"role": "user", "content": HELLO}]
REPORT = {
    "name": "report",
    "description": "Tell the weather of a city for the next days.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city", "days"]},
}


def client(key=KEY, **more):
    return anthropic.Anthropic(base_url=HOST, api_key=key, max_retries=0, **more)


def ask(name, key=KEY, messages=MESSAGES, max_tokens=8, **more):
    return client(key).messages.create(model=name, messages=messages, max_tokens=max_tokens, **more)


def cold_whole_answer():
    raw = client().messages.with_raw_response.create(model=model("whole"), messages=MESSAGES, max_tokens=8, system="Be brief.")
    assert raw.headers["x-pilotlight-start"] == "cold", raw.headers
    answer = raw.parse()
    assert answer.content[0].text.startswith(SIMULATED), answer
    assert answer.stop_reason == "max_tokens" and answer.usage.output_tokens == 8 and answer.usage.input_tokens > 8, answer
    ended = ask(model("whole"), max_tokens=500, stop_sequences=["trtsim"])
    assert ended.stop_reason == "stop_sequence" and ended.stop_sequence == "trtsim", ended


def x_api_key():
    keyed = client(default_headers={"Authorization": anthropic.Omit(), "X-Api-Key": KEY})
    assert keyed.messages.create(model=model("whole"), messages=MESSAGES, max_tokens=8).content


def cold_stream(mode):
    def check():
        with client(KEYS[mode]).messages.stream(model=model(mode), messages=MESSAGES, max_tokens=8) as stream:
            text = "".join(stream.text_stream)
            answer = stream.get_final_message()
        assert text.startswith(SIMULATED) and answer.content[0].text == text, answer
        assert answer.usage.output_tokens == 8 and answer.usage.input_tokens > 0 and answer.stop_reason == "max_tokens", answer

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather = Weather()
    for stream in (False, True):
        messages = list(MESSAGES)
        asked = {"model": model("whole"), "messages": messages, "max_tokens": 500, "tools": [REPORT]}
        if stream:
            with client().messages.stream(**asked, tool_choice={"type": "tool", "name": "report"}) as s:
                said = s.get_final_message()
        else:
            said = client().messages.create(**asked, tool_choice={"type": "any"})
        (call,) = [block for block in said.content if block.type == "tool_use"]
        assert said.stop_reason == "tool_use" and said.usage.output_tokens > 0, said
        result = {"type": "tool_result", "tool_use_id": call.id, "content": weather.report(**call.input)}
        messages += [{"role": "assistant", "content": said.content}, {"role": "user", "content": [result]}]
        assert ask(model("whole"), messages=messages, tools=[REPORT]).content[0].text.startswith(SIMULATED)
    assert len(weather.calls) == 2, weather.calls


def structured():
    answer = client().messages.parse(model=model("whole"), messages=MESSAGES, max_tokens=500, output_format=Town)
    assert isinstance(answer.parsed_output, Town), answer


def typed_errors():
    def code(e, want):
        assert e.error_code == want and e.request_id, (e, e.error_code, e.request_id)

    code(expect(anthropic.AuthenticationError, lambda: ask(model("whole"), "pl_wrong"), type="authentication_error"), "invalid_api_key")
    code(expect(anthropic.NotFoundError, lambda: ask("no/such-model"), type="not_found_error"), "model_not_found")
    code(expect(anthropic.RateLimitError, lambda: ask("full"), type="rate_limit_error"), "queue_full")
    long = [{"role": "user", "content": "word " * 9000}]
    code(expect(anthropic.BadRequestError, lambda: ask(model("whole"), messages=long)), "context_length_exceeded")
    search = [{"type": "web_search_20250305", "name": "web_search"}]
    code(expect(anthropic.BadRequestError, lambda: ask(model("whole"), tools=search), type="invalid_request_error"), "invalid_request")


def failure_after_keepalives():
    for mode in ("comment", "chunk"):

        def check():
            with client(KEYS[mode]).messages.stream(model=model(f"broken-{mode}"), messages=MESSAGES, max_tokens=8) as stream:
                stream.get_final_message()

        e = expect(anthropic.APIStatusError, check)
        assert e.error_code in ("activation_failed", "activation_timeout"), e


run(
    cold_whole_answer, x_api_key, cold_stream("comment"), cold_stream("chunk"), tools, structured, typed_errors, failure_after_keepalives
)  # fmt: skip
