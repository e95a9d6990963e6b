// What an unchanged client of Anthropic's for JavaScript sees of the Messages API.
const assert = require("node:assert");
const Anthropic = require("@anthropic-ai/sdk").default ?? require("@anthropic-ai/sdk");
const { z } = require("zod");
const { BASE_URL, KEY, KEYS, HELLO, SIMULATED, Report, model, run } = require("./common.cjs");

const messages = [{ role: "user", content: HELLO }];
const client = (apiKey = KEY) => new Anthropic({ baseURL: BASE_URL.replace(/\/v1$/, ""), apiKey, maxRetries: 0 });
const ask = (name, more = {}, key = KEY) => client(key).messages.create({ model: name, messages, max_tokens: 8, ...more });

async function coldWholeAnswer() {
  const { data, response } = await ask(model("whole")).withResponse();
  assert.equal(response.headers.get("x-pilotlight-start"), "cold");
  assert.ok(data.content[0].text.startsWith(SIMULATED));
  assert.equal(data.usage.output_tokens, 8);
  assert.equal(data.stop_reason, "max_tokens");
}

const coldStream = (mode) =>
  async function coldStream() {
    let text = "";
    const stream = client(KEYS[mode]).messages.stream({ model: model(mode), messages, max_tokens: 8 }).on("text", (t) => (text += t));
    const answer = await stream.finalMessage();
    assert.ok(text.startsWith(SIMULATED), `${mode}: got ${text}`);
    assert.equal(answer.content[0].text, text);
    assert.equal(answer.usage.output_tokens, 8);
    assert.ok(answer.usage.input_tokens > 0);
  };

async function tools() {
  const offered = { tools: [{ name: "report", input_schema: z.toJSONSchema(Report) }], max_tokens: 500 };
  const asked = { model: model("whole"), messages, ...offered, tool_choice: { type: "any" } };
  for (const said of [await client().messages.create(asked), await client().messages.stream(asked).finalMessage()]) {
    assert.equal(said.stop_reason, "tool_use");
    const call = said.content.find((block) => block.type === "tool_use");
    Report.parse(call.input);
    const more = [{ role: "assistant", content: said.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "rain" }] }];
    const answer = await ask(model("whole"), { ...offered, messages: [...messages, ...more] });
    assert.ok(answer.content[0].text.startsWith(SIMULATED));
  }
}

async function refusal(kind, status, type, asked) {
  const e = await asked.then(
    () => assert.fail(`no ${kind.name}`),
    (e) => e,
  );
  assert.ok(e instanceof kind, `got ${e}, want ${kind.name}`);
  assert.equal(e.status, status);
  assert.equal(e.type, type);
  assert.ok(e.requestID);
}

async function typedErrors() {
  await refusal(Anthropic.AuthenticationError, 401, "authentication_error", ask(model("whole"), {}, "pl_wrong"));
  await refusal(Anthropic.NotFoundError, 404, "not_found_error", ask("no/such-model"));
  await refusal(Anthropic.RateLimitError, 429, "rate_limit_error", ask("full"));
  await refusal(Anthropic.BadRequestError, 400, "invalid_request_error", ask(model("whole"), { container: "c" }));
}

async function failureAfterKeepalives() {
  for (const mode of ["comment", "chunk"]) {
    const stream = client(KEYS[mode]).messages.stream({ model: model(`broken-${mode}`), messages, max_tokens: 8 });
    await assert.rejects(stream.finalMessage(), (e) => e instanceof Anthropic.APIError && /activation_(failed|timeout)/.test(e.message), mode);
  }
}

run(coldWholeAnswer, coldStream("comment"), coldStream("chunk"), tools, typedErrors, failureAfterKeepalives);
