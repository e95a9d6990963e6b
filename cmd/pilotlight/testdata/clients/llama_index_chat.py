"""What LlamaIndex sees of Pilotlight, as an LLM like OpenAI's."""

import openai
from common import BASE_URL, HELLO, KEY, KEYS, SIMULATED, City, Weather, expect, model, run
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


def llm(name, key=KEY, **more):
    return OpenAILike(
        model=name, api_base=BASE_URL, api_key=key, is_chat_model=True, is_function_calling_model=True, max_retries=0, **more
    )  # fmt: skip


MESSAGES = [ChatMessage(role="user", content=HELLO)]


def cold_whole_answer():
    answer = llm(model("whole"), max_tokens=8).chat(MESSAGES)
    assert answer.message.content.startswith(SIMULATED), answer
    assert answer.raw.usage.completion_tokens == 8, answer.raw


def cold_stream(mode):
    def check():
        *_, last = llm(model(mode), KEYS[mode], max_tokens=8).stream_chat(MESSAGES)
        assert last.message.content.startswith(SIMULATED), last

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather = Weather()
    offered = FunctionTool.from_defaults(fn=weather.report)
    answer = llm(model("whole")).predict_and_call([offered], HELLO)
    assert len(weather.calls) == 1 and "rain" in str(answer), (weather.calls, answer)
    *_, last = llm(model("whole")).stream_chat_with_tools([offered], user_msg=HELLO)
    (call,) = llm(model("whole")).get_tool_calls_from_response(last)
    weather.report(**call.tool_kwargs)


def structured():
    answer = llm(model("whole")).structured_predict(City, PromptTemplate(HELLO))
    assert isinstance(answer, City), answer


def typed_errors():
    expect(openai.AuthenticationError, lambda: llm(model("whole"), "pl_wrong").chat(MESSAGES), code="invalid_api_key")
    expect(openai.NotFoundError, lambda: llm("no/such-model").chat(MESSAGES), code="model_not_found")
    expect(openai.RateLimitError, lambda: llm("full").chat(MESSAGES), code="queue_full")


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        expect(openai.APIError, lambda: list(llm(model(f"broken-{mode}"), KEYS[mode]).stream_chat(MESSAGES)))


run(
    cold_whole_answer, cold_stream("comment"), cold_stream("chunk"), tools, structured, typed_errors, failure_after_keepalives
)  # fmt: skip
