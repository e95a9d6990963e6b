"""What an unchanged openai client for Python sees of the Responses API and of embeddings."""

import openai
import pydantic
from common import HELLO, KEY, KEYS, SIMULATED, City, Weather, expect, model, run


class Report(pydantic.BaseModel):
    """Tell the weather of a city for the next days."""

    city: str
    days: int


def client(key=KEY):
    return openai.OpenAI(api_key=key, max_retries=0)


def ask(name, key=KEY, input=HELLO, **more):
    return client(key).responses.create(model=name, input=input, store=False, **more)


def cold_whole_answer():
    raw = client().responses.with_raw_response.create(model=model("whole"), input=HELLO, instructions="Be brief.", max_output_tokens=8)
    assert raw.headers["x-pilotlight-start"] == "cold", raw.headers
    answer = raw.parse()
    assert answer.output_text.startswith(SIMULATED), answer
    assert answer.usage.output_tokens == 8 and answer.usage.total_tokens == answer.usage.input_tokens + 8, answer
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens", answer
    assert ask(model("whole")).status == "completed"


def cold_stream(mode):
    def check():
        with client(KEYS[mode]).responses.stream(model=model(mode), input=HELLO) as stream:
            events = list(stream)
            answer = stream.get_final_response()
        assert [e.sequence_number for e in events] == sorted({e.sequence_number for e in events}), events
        assert answer.output_text.startswith(SIMULATED), answer
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == answer.output_text
        assert answer.usage.output_tokens > 8, answer
        waited = [e for e in events if e.type == "response.in_progress"]
        assert len(waited) > 1 if mode == "chunk" else len(waited) == 1, waited

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather = Weather()
    offered = [openai.pydantic_function_tool(Report)["function"] | {"type": "function"}]
    for stream in (False, True):
        messages = [{"role": "user", "content": HELLO}]
        if stream:
            with client().responses.stream(model=model("whole"), input=messages, tools=offered, tool_choice="required") as s:
                said = s.get_final_response()
        else:
            said = ask(model("whole"), input=messages, tools=offered, tool_choice="required")
        (call,) = [item for item in said.output if item.type == "function_call"]
        asked = Report.model_validate_json(call.arguments)
        messages += [item.model_dump(exclude_unset=True, exclude={"parsed_arguments"}) for item in said.output]
        messages.append({"type": "function_call_output", "call_id": call.call_id, "output": weather.report(asked.city, asked.days)})
        assert ask(model("whole"), input=messages, tools=offered).output_text.startswith(SIMULATED)
    assert len(weather.calls) == 2, weather.calls


def structured():
    assert isinstance(client().responses.parse(model=model("whole"), input=HELLO, text_format=City).output_parsed, City)
    with client().responses.stream(model=model("whole"), input=HELLO, text_format=City) as stream:
        assert isinstance(stream.get_final_response().output_parsed, City)


def embeddings():
    for encoding in (openai.omit, "float"):
        answer = client().embeddings.create(model="embeddings", input=["winter wind", "winter storm"], encoding_format=encoding)
        assert len(answer.data) == 2 and len(answer.data[0].embedding) == len(answer.data[1].embedding) > 1, answer
        assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0, answer
    expect(openai.NotFoundError, lambda: ask("embeddings"), code="unsupported_endpoint")


def typed_errors():
    expect(openai.AuthenticationError, lambda: ask(model("whole"), "pl_wrong"), code="invalid_api_key")
    expect(openai.NotFoundError, lambda: ask("no/such-model"), code="model_not_found")
    expect(openai.RateLimitError, lambda: ask("full"), code="queue_full")
    expect(openai.BadRequestError, lambda: ask(model("whole"), input="word " * 9000), code="context_length_exceeded")
    expect(openai.BadRequestError, lambda: client().responses.create(model=model("whole"), input=HELLO, store=True), param="store")
    expect(openai.BadRequestError, lambda: ask(model("whole"), previous_response_id="resp_1"), param="previous_response_id")
    expect(openai.BadRequestError, lambda: ask(model("whole"), tools=[{"type": "web_search"}]), param="tools[0].type")


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        e = expect(openai.APIError, lambda: list(ask(model(f"broken-{mode}"), KEYS[mode], stream=True)))
        assert e.code in ("activation_failed", "activation_timeout"), e


run(
    cold_whole_answer, cold_stream("comment"), cold_stream("chunk"), tools, structured, embeddings, typed_errors, failure_after_keepalives
)  # fmt: skip
