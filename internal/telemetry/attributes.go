package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
)

// operation is the request's gen_ai.operation.name.
func (r *Request) operation() string {
	switch r.Endpoint {
	case "completions":
		return semconv.GenAIOperationNameTextCompletion.Value.AsString()
	case "embeddings":
		return semconv.GenAIOperationNameEmbeddings.Value.AsString()
	case "":
		return ""
	}
	return semconv.GenAIOperationNameChat.Value.AsString() // responses and messages are chats by other words
}

// attributes of the server's span: OpenTelemetry's conventions for HTTP and for generative AI, and our own terms. The figures of gen_ai are on this span
// alone, because whoever adds them up would count a request as often as they appear in its trace.
func (r *Request) attributes() []attribute.KeyValue {
	all := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(r.Method),
		semconv.URLPath(clip(r.Path)),
		semconv.HTTPResponseStatusCode(r.Status),
		attribute.String("pilotlight.request_id", r.ID),
	}
	text := func(key attribute.Key, value string) {
		if value != "" {
			all = append(all, key.String(value))
		}
	}
	text(semconv.GenAIOperationNameKey, r.operation())
	text(semconv.GenAIRequestModelKey, r.Model)
	text(semconv.ErrorTypeKey, r.Code)
	text("pilotlight.org", r.Org)
	text("pilotlight.token_id", r.TokenID)
	text("pilotlight.instance", r.Instance)
	text("pilotlight.start", r.Start)
	text("pilotlight.status", r.Outcome)
	if r.operation() != "" {
		all = append(all, semconv.GenAIProviderNameKey.String("pilotlight"), semconv.GenAIRequestStreamKey.Bool(r.Stream))
	}
	if r.TokensKnown {
		all = append(all, semconv.GenAIUsageInputTokensKey.Int64(r.PromptTokens), semconv.GenAIUsageOutputTokensKey.Int64(r.CompletionTokens))
	}
	if r.Outcome != "" {
		all = append(all, attribute.Int64("pilotlight.ttft_us", micros(r.TTFT)), attribute.Int64("pilotlight.billed_us", micros(r.Billed)))
	}
	return all
}
