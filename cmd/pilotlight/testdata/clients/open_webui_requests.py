"""The requests that Open WebUI makes, one for one: Open WebUI itself is gigabytes. Read in its version 0.12.4, in routers/openai.py (the list of models, a
chat), routers/tasks.py (a title) and utils/middleware.py (how a stream is read), which ask with aiohttp as is done here."""

import asyncio
import json

import aiohttp
from common import BASE_URL, HELLO, KEY, KEYS, NARROW_KEY, SIMULATED, model, run

LIST_TIMEOUT = aiohttp.ClientTimeout(total=10)  # AIOHTTP_CLIENT_TIMEOUT_MODEL_LIST
CHAT_TIMEOUT = aiohttp.ClientTimeout(total=None)  # AIOHTTP_CLIENT_TIMEOUT, which is not set


async def models(key=KEY):
    async with aiohttp.ClientSession(timeout=LIST_TIMEOUT, trust_env=True) as session:
        async with session.get(
            f"{BASE_URL}/models", headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        ) as answer:
            return answer.status, await answer.json()


async def chat(payload, key=KEY):
    """Gives the status, and the answer's JSON, or of a stream the data of its events with what else was in it."""
    async with aiohttp.ClientSession(trust_env=True) as session:
        answer = await session.request(
            method="POST",
            url=f"{BASE_URL}/chat/completions",
            data=json.dumps(payload),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
            cookies={},
            timeout=CHAT_TIMEOUT,
        )
        async with answer:
            if "text/event-stream" not in answer.headers.get("Content-Type", ""):
                return answer.status, await answer.json()
            data, other = [], []
            async for line in answer.content:
                text = line.decode("utf-8").strip()
                if text.startswith("data:"):
                    data.append(text.removeprefix("data:").strip())
                elif text:
                    other.append(text)
            return answer.status, (data, other)


def conversation(name):
    return {
        "stream": True,
        "model": name,
        "messages": [{"role": "system", "content": "You are brief."}, {"role": "user", "content": HELLO}],
        "stream_options": {"include_usage": True},
    }


def cold_stream(mode):
    def check():
        status, (data, other) = asyncio.run(chat(conversation(model(mode)), KEYS[mode]))
        assert status == 200 and data[-1] == "[DONE]", (status, data[-1])
        chunks = [json.loads(d) for d in data[:-1]]
        text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c.get("choices"))
        assert text.startswith(SIMULATED), text
        assert [c["usage"]["completion_tokens"] for c in chunks if c.get("usage")][-1] > 0, chunks[-1]
        assert all(line.startswith(":") for line in other), other

    check.__name__ = f"cold_stream_{mode}"
    return check


def cold_title():
    status, answer = asyncio.run(
        chat(
            {
                "model": model("whole"),
                "messages": [{"role": "user", "content": "### Task:\nGenerate a concise, 3-5 word title."}],
                "stream": False,
                "max_tokens": 1000,
            }
        )
    )
    assert status == 200 and answer["choices"][0]["message"]["content"].startswith(SIMULATED), (status, answer)


def listed():
    status, answer = asyncio.run(models())
    ids = [m["id"] for m in answer["data"]]
    assert status == 200 and model("whole") in ids and all(m["object"] == "model" for m in answer["data"]), (status, ids)


def errors():
    status, answer = asyncio.run(models("pl_wrong"))
    assert status == 401 and answer["error"]["code"] == "invalid_api_key", (status, answer)
    status, answer = asyncio.run(chat(conversation(model("whole")), NARROW_KEY))
    assert status == 403 and answer["error"]["code"] == "permission_denied", (status, answer)
    status, answer = asyncio.run(chat(conversation("no/such-model")))
    assert status == 404 and answer["error"]["code"] == "model_not_found", (status, answer)


run(listed, cold_title, cold_stream("comment"), cold_stream("chunk"), errors)
