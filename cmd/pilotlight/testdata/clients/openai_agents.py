"""What OpenAI's agents SDK sees of Pilotlight in its default mode, which is the Responses API."""

import asyncio

import openai
from agents import Agent, ModelSettings, MultiProvider, RunConfig, Runner, function_tool, set_tracing_disabled
from common import HELLO, KEY, KEYS, SIMULATED, City, Weather, model, run

set_tracing_disabled(True)
LOOP = asyncio.new_event_loop()  # one, for clients keep connections that belong to theirs


def config(key=KEY):
    client = openai.AsyncOpenAI(api_key=key, max_retries=0)
    # What stands before a slash is a provider's name unless it is told otherwise.
    return RunConfig(model_provider=MultiProvider(openai_client=client, unknown_prefix_mode="model_id"))


async def whole(name, key=KEY, **more):
    return await Runner.run(Agent(name="a", instructions="Be brief.", model=name, **more), HELLO, run_config=config(key))


async def streamed(name, key=KEY, **more):
    result = Runner.run_streamed(Agent(name="a", instructions="Be brief.", model=name, **more), HELLO, run_config=config(key))
    async for _ in result.stream_events():
        pass
    return result


def cold_whole_answer():
    answer = LOOP.run_until_complete(whole(model("whole")))
    assert answer.final_output.startswith(SIMULATED) and answer.context_wrapper.usage.output_tokens > 8, answer


def cold_stream(mode):
    def check():
        answer = LOOP.run_until_complete(streamed(model(mode), KEYS[mode]))
        assert answer.final_output.startswith(SIMULATED) and answer.context_wrapper.usage.output_tokens > 8, answer

    check.__name__ = f"cold_stream_{mode}"
    return check


def tools():
    weather = Weather()
    more = {"tools": [function_tool(weather.report)], "model_settings": ModelSettings(tool_choice="required")}
    for ask in (whole, streamed):
        assert LOOP.run_until_complete(ask(model("whole"), **more)).final_output.startswith(SIMULATED)
    assert len(weather.calls) == 2, weather.calls


def structured():
    assert isinstance(LOOP.run_until_complete(whole(model("whole"), output_type=City)).final_output, City)


def typed_errors():
    for kind, name, key in (
        (openai.AuthenticationError, model("whole"), "pl_wrong"),
        (openai.NotFoundError, "no/such-model", KEY),
        (openai.RateLimitError, "full", KEY),
    ):
        try:
            LOOP.run_until_complete(whole(name, key))
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__}")


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        try:
            LOOP.run_until_complete(streamed(model(f"broken-{mode}"), KEYS[mode]))
        except Exception as e:
            assert "failed to start" in str(e) or "time" in str(e), e
            continue
        raise AssertionError("no error")


run(cold_whole_answer, cold_stream("comment"), cold_stream("chunk"), tools, structured, typed_errors, failure_after_keepalives)
