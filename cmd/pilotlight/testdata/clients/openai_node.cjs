// What an unchanged openai client for JavaScript sees of Pilotlight.
const assert = require("node:assert");
const OpenAI = require("openai").default ?? require("openai");
const { zodResponseFormat, zodFunction } = require("openai/helpers/zod");
const { KEY, KEYS, NARROW_KEY, HELLO, SIMULATED, City, Report, model, run } = require("./common.cjs");

const messages = [{ role: "user", content: HELLO }];
const client = (apiKey = KEY) => new OpenAI({ apiKey, maxRetries: 0 });
const ask = (name, more = {}, headers = {}, key = KEY) =>
  client(key).chat.completions.create({ model: name, messages, max_tokens: 8, ...more }, { headers });

async function coldWholeAnswer() {
  const { data, response } = await ask(model("whole")).withResponse();
  assert.equal(response.headers.get("x-pilotlight-start"), "cold");
  assert.ok(data.choices[0].message.content.startsWith(SIMULATED));
  assert.equal(data.usage.completion_tokens, 8);
  assert.ok((await ask(model("whole"))).choices[0].finish_reason);
}

const coldStream = (mode, key, headers) =>
  async function coldStream() {
    let text = "";
    const chunks = [];
    const more = { stream: true, stream_options: { include_usage: true } };
    for await (const m of await ask(model(mode), more, headers, key)) {
      text += m.choices[0]?.delta.content ?? "";
      chunks.push(m);
    }
    assert.ok(text.startsWith(SIMULATED), `${mode}: got ${text}`);
    assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.equal(chunks.at(-1).usage.completion_tokens, 8);
  };

async function tools() {
  const asked = [];
  const weather = { name: "weather", parameters: Report, function: (a) => asked.push(a) && "rain" };
  const runner = client().chat.completions.runTools({ model: model("whole"), messages, tools: [zodFunction(weather)], stream: true });
  assert.ok((await runner.finalContent()).startsWith(SIMULATED));
  assert.equal(asked.length, 1);
  Report.parse(asked[0]);
}

async function structured() {
  const format = { model: model("whole"), messages, response_format: zodResponseFormat(City, "city") };
  City.parse((await client().chat.completions.parse(format)).choices[0].message.parsed);
  City.parse((await client().chat.completions.stream(format).finalChatCompletion()).choices[0].message.parsed);
}

async function textCompletion() {
  const answer = await client().completions.create({ model: model("whole"), prompt: "Once upon", max_tokens: 4 });
  assert.ok(answer.choices[0].text);
}

async function models() {
  const ids = [];
  for await (const m of client().models.list()) ids.push(m.id);
  assert.ok(ids.includes(model("whole")), ids.join());
  assert.equal((await client().models.retrieve(model("whole"))).id, model("whole"));
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
  await refusal(OpenAI.AuthenticationError, 401, "invalid_api_key", ask(model("whole"), {}, {}, "pl_wrong"));
  await refusal(OpenAI.PermissionDeniedError, 403, "permission_denied", ask(model("whole"), {}, {}, NARROW_KEY));
  await refusal(OpenAI.NotFoundError, 404, "model_not_found", ask("no/such-model"));
  await refusal(OpenAI.RateLimitError, 429, "queue_full", ask("full"));
  await refusal(OpenAI.InternalServerError, 503, "not_hot", ask("never-hot", {}, { "X-Pilotlight-Max-Wait": "0s" }));
  const long = [{ role: "user", content: "word ".repeat(9000) }];
  await refusal(OpenAI.BadRequestError, 400, "context_length_exceeded", ask(model("whole"), { messages: long }));
}

async function failureAfterKeepalives() {
  for (const mode of ["comment", "chunk"]) {
    const stream = await ask(model(`broken-${mode}`), { stream: true }, {}, KEYS[mode]);
    await assert.rejects(
      async () => {
        for await (const m of stream) assert.ok(!m.choices[0].delta.content);
      },
      (e) => e instanceof OpenAI.APIError && ["activation_failed", "activation_timeout"].includes(e.code),
      mode,
    );
  }
}

run(
  coldWholeAnswer,
  coldStream("off", KEY, { "X-Pilotlight-Keepalive": "off" }),
  coldStream("comment", KEYS.comment),
  coldStream("chunk", KEYS.chunk),
  tools,
  structured,
  textCompletion,
  models,
  typedErrors,
  failureAfterKeepalives,
);
