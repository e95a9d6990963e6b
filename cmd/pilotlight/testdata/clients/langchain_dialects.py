"""What LangChain's chat models see of the Responses API, or of Anthropic's Messages API where that client is installed, and its embeddings."""

from common import BASE_URL, HELLO, KEY, KEYS, SIMULATED, Town, Weather, expect, model, run
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

try:
    import anthropic as sdk
    from langchain_anthropic import ChatAnthropic

    def chat(name, key=KEY, **more):
        return ChatAnthropic(model=name, api_key=key, base_url=BASE_URL.removesuffix("/v1"), max_retries=0, **{"max_tokens": 500} | more)

    methods = ("function_calling", "json_schema")
except ImportError:
    import openai as sdk
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    def chat(name, key=KEY, **more):
        return ChatOpenAI(model=name, api_key=key, base_url=BASE_URL, max_retries=0, use_responses_api=True, **more)

    methods = ("json_schema", "function_calling")


def cold_whole_answer():
    answer = chat(model("whole"), max_tokens=20).invoke(HELLO)
    assert answer.text.startswith(SIMULATED), answer
    assert answer.usage_metadata["output_tokens"] == 20 and answer.usage_metadata["input_tokens"] > 0, answer


def cold_stream(mode):
    def check():
        whole = None
        for chunk in chat(model(mode), KEYS[mode], max_tokens=20).stream(HELLO):
            whole = chunk if whole is None else whole + chunk
        assert whole.text.startswith(SIMULATED), whole
        assert whole.usage_metadata["output_tokens"] == 20 and whole.usage_metadata["input_tokens"] > 0, whole

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather = Weather()
    offered = tool("weather")(weather.report)
    for stream in (False, True):
        messages = [HumanMessage(HELLO)]
        said = chat(model("whole"), streaming=stream).bind_tools([offered], tool_choice="any").invoke(messages)
        assert len(said.tool_calls) == 1, said
        messages += [said, offered.invoke(said.tool_calls[0])]
        answer = chat(model("whole"), streaming=stream).bind_tools([offered]).invoke(messages)
        assert answer.text.startswith(SIMULATED) and not answer.tool_calls, answer
    assert len(weather.calls) == 2, weather.calls


def structured():
    for method in methods:
        answer = chat(model("whole")).with_structured_output(Town, method=method).invoke(HELLO)
        assert isinstance(answer, Town), (method, answer)


def embeddings():
    if sdk.__name__ == "openai":
        vectors = OpenAIEmbeddings(model="embeddings", api_key=KEY, base_url=BASE_URL, check_embedding_ctx_length=False)
        assert len(vectors.embed_query(HELLO)) > 1


def typed_errors():
    expect(sdk.AuthenticationError, lambda: chat(model("whole"), "pl_wrong").invoke(HELLO))
    expect(sdk.NotFoundError, lambda: chat("no/such-model").invoke(HELLO))
    expect(sdk.RateLimitError, lambda: chat("full").invoke(HELLO))
    expect(sdk.BadRequestError, lambda: chat(model("whole")).invoke("word " * 9000))


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        expect(sdk.APIError, lambda: list(chat(model(f"broken-{mode}"), KEYS[mode]).stream(HELLO)))


run(
    cold_whole_answer, cold_stream("comment"), cold_stream("chunk"), tools, structured, embeddings, typed_errors, failure_after_keepalives
)  # fmt: skip
