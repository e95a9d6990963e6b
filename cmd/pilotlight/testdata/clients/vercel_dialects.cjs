// What Vercel's AI SDK sees of the Responses API and of Anthropic's Messages API, through its providers for both.
const assert = require("node:assert");
const { createOpenAI } = require("@ai-sdk/openai");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { APICallError, embed, generateObject, generateText, stepCountIs, streamText, tool } = require("ai");
const { BASE_URL, KEY, KEYS, HELLO, SIMULATED, City, Report, model, run } = require("./common.cjs");

const dialect = process.env.PILOTLIGHT_CLIENT.replace("vercel-", "");
const provider = (apiKey = KEY) => (dialect === "anthropic" ? createAnthropic : createOpenAI)({ baseURL: BASE_URL, apiKey });
const ask = (name, key) => ({
  model: provider(key)(name), prompt: HELLO, maxRetries: 0, maxOutputTokens: 500, providerOptions: { openai: { store: false } },
});

async function coldWholeAnswer() {
  const answer = await generateText({ ...ask(model("whole")), maxOutputTokens: 20 });
  assert.ok(answer.text.startsWith(SIMULATED), answer.text);
  assert.equal(answer.usage.outputTokens, 20);
  assert.equal(answer.finishReason, "length");
}

const coldStream = (mode) =>
  async function coldStream() {
    const answer = streamText(ask(model(mode), KEYS[mode]));
    let text = "";
    for await (const piece of answer.textStream) text += piece;
    assert.ok(text.startsWith(SIMULATED), `${mode}: got ${text}`);
    const usage = await answer.usage;
    assert.ok(usage.outputTokens > 8 && usage.inputTokens > 0, JSON.stringify(usage));
  };

async function tools() {
  for (const call of [generateText, streamText]) {
    const asked = [];
    const weather = tool({ description: "Tell the weather.", inputSchema: Report, execute: async (a) => asked.push(a) && "rain" });
    const answer = await call({ ...ask(model("whole")), tools: { weather }, toolChoice: "required", stopWhen: stepCountIs(2) });
    assert.equal((await answer.steps).length, 2);
    assert.equal((await answer.steps)[0].finishReason, "tool-calls");
    asked.forEach((a) => Report.parse(a));
    assert.ok(asked.length >= 1);
  }
}

// conversation sends back what the model has said.
async function conversation() {
  const first = await generateText(ask(model("whole")));
  const messages = [{ role: "user", content: HELLO }, ...first.response.messages, { role: "user", content: HELLO }];
  const { prompt, ...more } = ask(model("whole"));
  assert.ok((await generateText({ ...more, messages })).text.startsWith(SIMULATED));
}

async function structured() {
  City.parse((await generateObject({ ...ask(model("whole")), schema: City })).object);
}

async function embeddings() {
  if (dialect === "anthropic") return;
  const { embedding } = await embed({ model: provider().textEmbeddingModel("embeddings"), value: HELLO, maxRetries: 0 });
  assert.ok(embedding.length > 1);
}

async function typedErrors() {
  const refused = async (status, code, name, key) => {
    const e = await generateText(ask(name, key)).then(
      () => assert.fail(`${name}: no error`),
      (e) => e,
    );
    assert.ok(APICallError.isInstance(e), `got ${e}, want an APICallError`);
    assert.equal(e.statusCode, status);
    assert.match(e.responseBody, new RegExp(`"${code}"`));
  };
  await refused(401, "invalid_api_key", model("whole"), "pl_wrong");
  await refused(404, "model_not_found", "no/such-model");
  await refused(429, "queue_full", "full");
}

async function failureAfterKeepalives() {
  for (const mode of ["comment", "chunk"]) {
    const failures = [];
    const answer = streamText({ ...ask(model(`broken-${mode}`), KEYS[mode]), onError: ({ error }) => failures.push(error) });
    for await (const piece of answer.textStream) assert.equal(piece, "");
    assert.ok(failures.length > 0, mode);
    assert.match(JSON.stringify(failures[0]) + failures[0], /failed to start|activation|time/i);
  }
}

globalThis.AI_SDK_LOG_WARNINGS = false; // of models that it does not know
run(coldWholeAnswer, coldStream("comment"), coldStream("chunk"), tools, conversation, structured, embeddings, typedErrors, failureAfterKeepalives);
