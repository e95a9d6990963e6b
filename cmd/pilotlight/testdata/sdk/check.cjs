// What an unchanged openai client for JavaScript sees of Pilotlight. Exits 0 when all of it is as its users expect.
// The environment says where: OPENAI_BASE_URL, OPENAI_API_KEY, and by PILOTLIGHT_ what else it needs.
const assert = require("node:assert");
const OpenAI = require("openai").default ?? require("openai");

const messages = [{ role: "user", content: "Say hello." }];
const client = (apiKey = process.env.OPENAI_API_KEY) => new OpenAI({ apiKey, maxRetries: 0 });
const ask = (model, more = {}, headers = {}, key) =>
  client(key).chat.completions.create({ model, messages, max_tokens: 8, ...more }, { headers });

async function coldWholeAnswer() {
  const { data, response } = await ask("cold/1").withResponse();
  assert.equal(response.headers.get("x-pilotlight-start"), "cold");
  assert.ok(data.choices[0].message.content);
  assert.ok(data.usage.completion_tokens > 0);
  assert.ok((await ask("cold/1")).choices[0].finish_reason);
}

const coldStream = (model, mode) =>
  async function coldStream() {
    let text = "";
    for await (const m of await ask(model, { stream: true }, { "X-Pilotlight-Keepalive": mode })) {
      text += m.choices[0].delta.content ?? "";
    }
    assert.ok(text.trim(), `${mode}: an empty answer`);
  };

async function coldStreamWithUsage() {
  const chunks = [];
  for await (const m of await ask("cold/5", { stream: true, stream_options: { include_usage: true } })) chunks.push(m);
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  assert.deepEqual(chunks.at(-1).choices, []);
}

async function textCompletion() {
  const answer = await client().completions.create({ model: "cold/1", prompt: "Once upon", max_tokens: 4 });
  assert.ok(answer.choices[0].text);
}

async function models() {
  const ids = [];
  for await (const m of client().models.list()) ids.push(m.id);
  assert.ok(ids.includes("cold/1"), ids.join());
  assert.equal((await client().models.retrieve("cold/1")).id, "cold/1");
}

async function refusal(kind, status, code, asked) {
  const e = await asked.then(
    () => assert.fail(`no ${kind.name}`),
    (e) => e,
  );
  assert.ok(e instanceof kind, `got ${e}, want ${kind.name}`);
  assert.equal(e.status, status);
  assert.equal(e.code, code);
}

async function typedErrors() {
  await refusal(OpenAI.AuthenticationError, 401, "invalid_api_key", ask("cold/1", {}, {}, "pl_wrong"));
  const narrow = process.env.PILOTLIGHT_NARROW_KEY;
  await refusal(OpenAI.PermissionDeniedError, 403, "permission_denied", ask("cold/1", {}, {}, narrow));
  await refusal(OpenAI.NotFoundError, 404, "model_not_found", ask("no/such-model"));
  await refusal(OpenAI.RateLimitError, 429, "queue_full", ask("full"));
  await refusal(OpenAI.InternalServerError, 503, "not_hot", ask("never-hot", {}, { "X-Pilotlight-Max-Wait": "0s" }));
}

async function failureAfterKeepalives() {
  for (const mode of ["comment", "chunk"]) {
    const stream = await ask(`broken/${mode}`, { stream: true }, { "X-Pilotlight-Keepalive": mode });
    await assert.rejects(
      async () => {
        for await (const m of stream) assert.ok(!m.choices[0].delta.content);
      },
      (e) => e instanceof OpenAI.APIError && ["activation_failed", "activation_timeout"].includes(e.code),
      mode,
    );
  }
}

(async () => {
  for (const check of [
    coldWholeAnswer,
    coldStream("cold/2", "off"),
    coldStream("cold/3", "comment"),
    coldStream("cold/4", "chunk"),
    coldStreamWithUsage,
    textCompletion,
    models,
    typedErrors,
    failureAfterKeepalives,
  ]) {
    await check();
    console.log("ok", check.name);
  }
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
