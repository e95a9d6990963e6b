"""What an unchanged openai client for Python sees of Pilotlight. Exits 0 when all of it is as its users expect.

The environment says where: OPENAI_BASE_URL, OPENAI_API_KEY, and by PILOTLIGHT_ what else it needs.
"""

import os

import openai

E = os.environ
HELLO = [{"role": "user", "content": "Say hello."}]


def client(key=None):
    return openai.OpenAI(api_key=key or E["OPENAI_API_KEY"], max_retries=0)


def whole(model, **more):
    return client().chat.completions.create(model=model, messages=HELLO, max_tokens=8, **more)


def cold_whole_answer():
    raw = client().chat.completions.with_raw_response.create(model="cold/1", messages=HELLO, max_tokens=8)
    assert raw.headers["x-pilotlight-start"] == "cold", raw.headers
    answer = raw.parse()
    assert answer.choices[0].message.content, answer
    assert answer.usage.completion_tokens > 0, answer
    again = whole("cold/1")
    assert again.choices[0].finish_reason in ("stop", "length"), again


def cold_stream(model, mode):
    def check():
        stream = whole(model, stream=True, extra_headers={"X-Pilotlight-Keepalive": mode})
        text = ""
        for m in stream:
            text += m.choices[0].delta.content or ""
        assert text.strip(), f"{mode}: an empty answer"

    check.__name__ = f"cold_stream_{mode}"
    return check


def cold_stream_with_usage():
    stream = whole("cold/5", stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    usage = chunks[-1].usage
    assert usage is not None and usage.completion_tokens > 0, chunks[-1]
    assert chunks[-1].choices == [], chunks[-1]


def text_completion():
    answer = client().completions.create(model="cold/1", prompt="Once upon", max_tokens=4)
    assert answer.choices[0].text, answer


def models():
    ids = [m.id for m in client().models.list()]
    assert "cold/1" in ids, ids
    assert client().models.retrieve("cold/1").id == "cold/1"


def refusal(kind, status, code, ask):
    try:
        ask()
    except kind as e:
        assert e.status_code == status, e
        assert e.code == code, e
        return
    raise AssertionError(f"no {kind.__name__}")


def typed_errors():
    def ask(model, key=None, **more):
        return lambda: client(key).chat.completions.create(model=model, messages=HELLO, **more)

    refusal(openai.AuthenticationError, 401, "invalid_api_key", ask("cold/1", key="pl_wrong"))
    refusal(openai.PermissionDeniedError, 403, "permission_denied", ask("cold/1", key=E["PILOTLIGHT_NARROW_KEY"]))
    refusal(openai.NotFoundError, 404, "model_not_found", ask("no/such-model"))
    refusal(openai.RateLimitError, 429, "queue_full", ask("full"))
    refusal(
        openai.InternalServerError, 503, "not_hot", ask("never-hot", extra_headers={"X-Pilotlight-Max-Wait": "0s"})
    )


def failure_after_keepalives():
    for mode in ("comment", "chunk"):
        stream = whole(f"broken/{mode}", stream=True, extra_headers={"X-Pilotlight-Keepalive": mode})
        try:
            for m in stream:
                assert not m.choices[0].delta.content, m
        except openai.APIError as e:
            assert e.code in ("activation_failed", "activation_timeout"), (mode, e, e.code)
        else:
            raise AssertionError(f"{mode}: the stream of a model that cannot start looked complete")


for check in (
    cold_whole_answer,
    cold_stream("cold/2", "off"),
    cold_stream("cold/3", "comment"),
    cold_stream("cold/4", "chunk"),
    cold_stream_with_usage,
    text_completion,
    models,
    typed_errors,
    failure_after_keepalives,
):
    check()
    print("ok", check.__name__, flush=True)
