// What Vercel's AI SDK sees of Pilotlight, through its provider for APIs like OpenAI's.
const assert = require("node:assert");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { APICallError, generateObject, generateText, stepCountIs, streamObject, streamText, tool } = require("ai");
const { BASE_URL, KEY, KEYS, HELLO, SIMULATED, City, Report, model, run } = require("./common.cjs");

const provider = (apiKey = KEY) =>
  createOpenAICompatible({ name: "pilotlight", baseURL: BASE_URL, apiKey, includeUsage: true, supportsStructuredOutputs: true });
const ask = (name, key) => ({ model: provider(key)(name), prompt: HELLO, maxRetries: 0 });

async function coldWholeAnswer() {
  const answer = await generateText({ ...ask(model("whole")), maxOutputTokens: 8 });
  assert.ok(answer.text.startsWith(SIMULATED), answer.text);
  assert.equal(answer.usage.outputTokens, 8);
}

const coldStream = (mode) =>
  async function coldStream() {
    const answer = streamText({ ...ask(model(mode), KEYS[mode]), maxOutputTokens: 8 });
    let text = "";
    for await (const piece of answer.textStream) text += piece;
    assert.ok(text.startsWith(SIMULATED), `${mode}: got ${text}`);
    assert.equal((await answer.usage).outputTokens, 8);
  };

async function tools() {
  for (const call of [generateText, streamText]) {
    const asked = [];
    const weather = tool({ description: "Tell the weather.", inputSchema: Report, execute: async (a) => asked.push(a) && "rain" });
    const answer = call({ ...ask(model("whole")), tools: { weather }, stopWhen: stepCountIs(3) });
    const text = await (await answer).text;
    assert.ok(text.startsWith(SIMULATED), text);
    assert.equal(asked.length, 1);
    Report.parse(asked[0]);
  }
}

async function structured() {
  City.parse((await generateObject({ ...ask(model("whole")), schema: City })).object);
  City.parse(await streamObject({ ...ask(model("whole")), schema: City }).object);
}

async function typedErrors() {
  const refused = async (status, code, name, key) => {
    const e = await generateText(ask(name, key)).then(
      () => assert.fail(`${name}: no error`),
      (e) => e,
    );
    assert.ok(APICallError.isInstance(e), `got ${e}, want an APICallError`);
    assert.equal(e.statusCode, status);
    assert.equal(e.data.error.code, code);
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
    assert.equal(failures.length, 1, `${mode}: ${failures}`);
    assert.match(JSON.stringify(failures[0]) + failures[0], /failed to start|activation|time/i);
  }
}

run(coldWholeAnswer, coldStream("comment"), coldStream("chunk"), tools, structured, typedErrors, failureAfterKeepalives);
