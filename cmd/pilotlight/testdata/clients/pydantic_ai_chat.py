"""What an agent of Pydantic AI sees of Pilotlight."""

import openai
from common import BASE_URL, HELLO, KEY, KEYS, SIMULATED, City, Weather, expect, model, run
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def agent(name, key=KEY, **more):
    client = openai.AsyncOpenAI(base_url=BASE_URL, api_key=key, max_retries=0)
    return Agent(OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client)), **more)


def cold_whole_answer():
    answer = agent(model("whole"), model_settings={"max_tokens": 8}).run_sync(HELLO)
    assert answer.output.startswith(SIMULATED), answer


def cold_stream(mode):
    def check():
        answer = agent(model(mode), KEYS[mode]).run_stream_sync(HELLO)
        text = "".join(answer.stream_text(delta=True))
        assert text.startswith(SIMULATED), text
        assert answer.usage.output_tokens > 0, answer.usage

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather = Weather()
    answer = agent(model("whole"), tools=[weather.report]).run_sync(HELLO)
    assert answer.output.startswith(SIMULATED) and len(weather.calls) == 1, (answer, weather.calls)


def structured():
    weather = Weather()
    for output in (City, NativeOutput(City)):  # as a tool of its own that has to be called; as a response format
        answer = agent(model("whole"), tools=[weather.report], output_type=output).run_sync(HELLO)
        assert isinstance(answer.output, City), answer
    assert len(weather.calls) == 2, weather.calls


def typed_errors():
    for status, name, key, prompt in (
        (401, model("whole"), "pl_wrong", HELLO),
        (404, "no/such-model", KEY, HELLO),
        (429, "full", KEY, HELLO),
        (400, model("whole"), KEY, "word " * 9000),
    ):
        expect(ModelHTTPError, lambda: agent(name, key).run_sync(prompt), status_code=status)


def failure_after_keepalives():
    for mode in ("comment", "chunk"):

        def read():
            for _ in agent(model(f"broken-{mode}"), KEYS[mode]).run_stream_sync(HELLO).stream_text():
                pass

        expect(Exception, read)


run(
    cold_whole_answer, cold_stream("comment"), cold_stream("chunk"), tools, structured, typed_errors, failure_after_keepalives
)  # fmt: skip
