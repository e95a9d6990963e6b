"""What LangChain's chat model for OpenAI sees of Pilotlight."""

import openai
from common import BASE_URL, HELLO, KEY, KEYS, SIMULATED, City, Weather, expect, model, run
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


def chat(name, key=KEY, **more):
    return ChatOpenAI(model=name, api_key=key, base_url=BASE_URL, max_retries=0, **more)


def cold_whole_answer():
    answer = chat(model("whole"), max_tokens=8).invoke(HELLO)
    assert answer.content.startswith(SIMULATED), answer
    assert answer.usage_metadata["output_tokens"] == 8, answer


def cold_stream(mode):
    def check():
        whole = None
        for chunk in chat(model(mode), KEYS[mode], max_tokens=8, stream_usage=True).stream(HELLO):
            whole = chunk if whole is None else whole + chunk
        assert whole.content.startswith(SIMULATED), whole
        assert whole.usage_metadata["output_tokens"] == 8, whole

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather = Weather()
    offered = tool("weather")(weather.report)
    for stream in (False, True):
        bound = chat(model("whole"), streaming=stream).bind_tools([offered])
        messages = [HumanMessage(HELLO)]
        said = bound.invoke(messages)
        assert len(said.tool_calls) == 1, said
        messages += [said, offered.invoke(said.tool_calls[0])]
        answer = bound.invoke(messages)
        assert answer.content.startswith(SIMULATED) and not answer.tool_calls, answer
    assert len(weather.calls) == 2, weather.calls


def structured():
    for method in ("json_schema", "function_calling"):
        answer = chat(model("whole")).with_structured_output(City, method=method).invoke(HELLO)
        assert isinstance(answer, City), (method, answer)


def typed_errors():
    expect(openai.AuthenticationError, lambda: chat(model("whole"), "pl_wrong").invoke(HELLO), code="invalid_api_key")
    expect(openai.NotFoundError, lambda: chat("no/such-model").invoke(HELLO), code="model_not_found")
    expect(openai.RateLimitError, lambda: chat("full").invoke(HELLO), code="queue_full")
    expect(openai.BadRequestError, lambda: chat(model("whole")).invoke("word " * 9000), code="context_length_exceeded")


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        expect(openai.APIError, lambda: list(chat(model(f"broken-{mode}"), KEYS[mode]).stream(HELLO)))


run(
    cold_whole_answer, cold_stream("comment"), cold_stream("chunk"), tools, structured, typed_errors, failure_after_keepalives
)  # fmt: skip
