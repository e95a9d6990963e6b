// What an unchanged openai client for JavaScript sees of the Responses API and of embeddings.
const assert = require("node:assert");
const OpenAI = require("openai").default ?? require("openai");
const { zodTextFormat, zodResponsesFunction } = require("openai/helpers/zod");
const { KEY, KEYS, HELLO, SIMULATED, City, Report, model, run } = require("./common.cjs");

const client = (apiKey = KEY) => new OpenAI({ apiKey, maxRetries: 0 });
const ask = (name, more = {}, key = KEY) => client(key).responses.create({ model: name, input: HELLO, store: false, ...more });

async function coldWholeAnswer() {
  const { data, response } = await ask(model("whole"), { max_output_tokens: 8 }).withResponse();
  assert.equal(response.headers.get("x-pilotlight-start"), "cold");
  assert.ok(data.output_text.startsWith(SIMULATED));
  assert.equal(data.usage.output_tokens, 8);
  assert.equal(data.incomplete_details.reason, "max_output_tokens");
}

const coldStream = (mode) =>
  async function coldStream() {
    const stream = client(KEYS[mode]).responses.stream({ model: model(mode), input: HELLO });
    let text = "";
    stream.on("response.output_text.delta", (e) => (text += e.delta));
    const answer = await stream.finalResponse();
    assert.ok(text.startsWith(SIMULATED), `${mode}: got ${text}`);
    assert.equal(answer.output[0].content[0].text, text);
    assert.ok(answer.usage.output_tokens > 8);
  };

async function tools() {
  const offered = { model: model("whole"), input: HELLO, tools: [zodResponsesFunction({ name: "report", parameters: Report })], tool_choice: "required" };
  for (const said of [await client().responses.parse(offered), await client().responses.stream(offered).finalResponse()]) {
    const call = said.output.find((item) => item.type === "function_call");
    Report.parse(JSON.parse(call.arguments));
    const input = [{ role: "user", content: HELLO }, { type: "function_call", call_id: call.call_id, name: call.name, arguments: call.arguments }];
    input.push({ type: "function_call_output", call_id: call.call_id, output: "rain" });
    assert.ok((await ask(model("whole"), { input, tools: offered.tools })).output_text.startsWith(SIMULATED));
  }
}

async function structured() {
  const format = { model: model("whole"), input: HELLO, text: { format: zodTextFormat(City, "city") } };
  City.parse((await client().responses.parse(format)).output_parsed);
}

async function embeddings() {
  const { data, usage } = await client().embeddings.create({ model: "embeddings", input: ["winter wind", "winter storm"] });
  assert.equal(data.length, 2);
  assert.ok(data[0].embedding.length > 1 && usage.prompt_tokens > 0);
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
  await refusal(OpenAI.AuthenticationError, 401, "invalid_api_key", ask(model("whole"), {}, "pl_wrong"));
  await refusal(OpenAI.NotFoundError, 404, "model_not_found", ask("no/such-model"));
  await refusal(OpenAI.RateLimitError, 429, "queue_full", ask("full"));
  await refusal(OpenAI.BadRequestError, 400, "invalid_request", ask(model("whole"), { store: true }));
  await refusal(OpenAI.NotFoundError, 404, "unsupported_endpoint", ask("embeddings"));
}

async function failureAfterKeepalives() {
  for (const mode of ["comment", "chunk"]) {
    const stream = await ask(model(`broken-${mode}`), { stream: true }, KEYS[mode]);
    await assert.rejects(
      async () => {
        for await (const e of stream) assert.ok(e.type !== "response.output_text.delta");
      },
      (e) => e instanceof OpenAI.APIError && ["activation_failed", "activation_timeout"].includes(e.code),
      mode,
    );
  }
}

run(coldWholeAnswer, coldStream("comment"), coldStream("chunk"), tools, structured, embeddings, typedErrors, failureAfterKeepalives);
