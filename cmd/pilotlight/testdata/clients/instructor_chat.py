"""What Instructor sees of Pilotlight, in each of its modes that an engine can follow."""

import instructor
import openai
from common import BASE_URL, HELLO, KEY, KEYS, City, expect, model, run
from instructor import Mode

MESSAGES = [{"role": "user", "content": HELLO}]


def client(key=KEY, mode=Mode.TOOLS):
    return instructor.from_openai(openai.OpenAI(base_url=BASE_URL, api_key=key, max_retries=0), mode=mode)


def ask(name, key=KEY, mode=Mode.TOOLS, **more):
    return client(key, mode).create(model=name, messages=MESSAGES, response_model=City, max_retries=0, **more)


def cold_whole_answer():
    assert isinstance(ask(model("whole")), City)


def cold_stream(mode):
    def check():
        *_, last = client(KEYS[mode]).create_partial(model=model(mode), messages=MESSAGES, response_model=City, max_retries=0)
        City.model_validate(last.model_dump())

    check.__name__ = f"cold_stream_{mode}"
    return check


def modes():
    for mode in (Mode.TOOLS, Mode.TOOLS_STRICT, Mode.JSON_SCHEMA):
        assert isinstance(ask(model("whole"), mode=mode), City), mode


def typed_errors():
    for kind, name, key in (
        (openai.AuthenticationError, model("whole"), "pl_wrong"),
        (openai.NotFoundError, "no/such-model", KEY),
        (openai.RateLimitError, "full", KEY),
    ):
        e = expect(Exception, lambda: ask(name, key))
        while e is not None and not isinstance(e, kind):
            e = e.__cause__ or e.__context__
        assert isinstance(e, kind), kind


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        broken = model(f"broken-{mode}")

        def read():
            return list(client(KEYS[mode]).create_partial(model=broken, messages=MESSAGES, response_model=City, max_retries=0))

        expect(Exception, read)


run(cold_whole_answer, cold_stream("comment"), cold_stream("chunk"), modes, typed_errors, failure_after_keepalives)
