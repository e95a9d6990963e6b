// Package dialect speaks two more APIs for engines that serve chat completions: OpenAI's Responses (POST /v1/responses) and Anthropic's Messages
// (POST /v1/messages). It turns a request of either into one of chat completions, and the engine's answer, whole or streamed, into the answer that the
// caller's SDK expects: text, tools, images, usage, why it ended, errors and keep-alives.
//
// It promises that nothing is ignored in silence: a field or a part is translated, or is known to have no effect here, or is refused by its name.
// It promises that the request it makes holds only what it understood, so that the same checks as for any other chat request can be made on it. What
// it gives as JSON is JSON, whatever an engine has sent.
//
// The types are those of openai-python (openai.types.responses) and anthropic-sdk-python (anthropic.types).
//
// It never does I/O, starts no goroutine, and keeps no state but that of one request. Nothing here is stored for a later request: what needs that
// (store, previous_response_id, conversations, files) is refused, as is whatever would run on the provider's own servers (web search, code interpreter, MCP).
package dialect
