package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
)

// goClient does with openai-go what testdata/clients does with the other clients.
type goClient struct {
	server *clientServer
}

func (c goClient) check(t *testing.T) {
	t.Run("whole answer from cold", c.wholeFromCold)
	t.Run("stream from cold, keep-alive off", func(t *testing.T) {
		c.streamFromCold(t, "off", option.WithHeader("X-Pilotlight-Keepalive", "off"))
	})
	t.Run("stream from cold, keep-alive comment", func(t *testing.T) {
		c.streamFromCold(t, "comment", option.WithAPIKey(c.server.comment))
	})
	t.Run("stream from cold, keep-alive chunk", func(t *testing.T) { c.streamFromCold(t, "chunk", option.WithAPIKey(c.server.chunk)) })
	t.Run("tools", c.tools)
	t.Run("structured answer", c.structured)
	t.Run("models", c.models)
	t.Run("typed errors", c.typedErrors)
	t.Run("failure after keep-alives", c.failureAfterKeepalives)
}

func own(model string) string { return openaiGo + "/" + model }

func (c goClient) client(more ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(c.server.API + "/"), option.WithAPIKey(c.server.Token), option.WithMaxRetries(0),
	}, more...)...)
}

func question(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:     model,
		Messages:  []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Say hello.")},
		MaxTokens: openai.Int(8),
	}
}

func (c goClient) stream(ctx context.Context, p openai.ChatCompletionNewParams, more ...option.RequestOption) *ssestream.Stream[openai.ChatCompletionChunk] {
	client := c.client(more...)
	return client.Chat.Completions.NewStreaming(ctx, p)
}

func (c goClient) wholeFromCold(t *testing.T) {
	client := c.client()
	a, err := client.Chat.Completions.New(t.Context(), question(own("whole")))
	if err != nil {
		t.Fatal(err)
	}
	if a.Choices[0].Message.Content == "" || a.Usage.CompletionTokens == 0 {
		t.Errorf("got %+v, want an answer with usage", a)
	}
}

// streamFromCold reads a stream through the accumulator, which takes chunks of one ID only.
func (c goClient) streamFromCold(t *testing.T, model string, more ...option.RequestOption) {
	p := question(own(model))
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.stream(t.Context(), p, more...)
	defer stream.Close()
	var whole openai.ChatCompletionAccumulator
	chunks, empty := 0, 0
	for stream.Next() {
		chunk := stream.Current()
		if !whole.AddChunk(chunk) {
			t.Errorf("the accumulator does not take the chunk %s", chunk.RawJSON())
		}
		if chunks++; len(chunk.Choices) == 1 && chunk.Choices[0].Delta.Content == "" && chunk.Choices[0].Delta.Role == "" && chunk.Choices[0].FinishReason == "" {
			empty++
		}
	}
	if stream.Err() != nil || len(whole.Choices) == 0 || !strings.HasPrefix(whole.Choices[0].Message.Content, "This is simulated") {
		t.Fatalf("got %+v of %d chunks and error %v, want the text and none", whole, chunks, stream.Err())
	}
	if whole.Usage.CompletionTokens != 8 {
		t.Errorf("got usage %+v, want that of 8 tokens", whole.Usage)
	}
	if came := empty > 0; came != (model == "chunk") {
		t.Errorf("got %d empty chunks as keep-alives in mode %s", empty, model)
	}
}

// tools goes through an agent's loop: a call, its result, and the answer.
func (c goClient) tools(t *testing.T) {
	p := question(own("whole"))
	p.MaxTokens = openai.Int(64)
	p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name: "weather",
		Parameters: openai.FunctionParameters{
			"type": "object", "required": []string{"city", "days"}, "additionalProperties": false,
			"properties": map[string]any{"city": map[string]any{"type": "string"}, "days": map[string]any{"type": "integer", "minimum": 1}},
		},
	})}
	stream := c.stream(t.Context(), p)
	var whole openai.ChatCompletionAccumulator
	for stream.Next() {
		whole.AddChunk(stream.Current())
	}
	stream.Close()
	if stream.Err() != nil || len(whole.Choices) != 1 || len(whole.Choices[0].Message.ToolCalls) != 1 {
		t.Fatalf("got %+v and error %v, want one call", whole.Choices, stream.Err())
	}
	call := whole.Choices[0].Message.ToolCalls[0]
	var arguments struct {
		City string
		Days int
	}
	if err := json.Unmarshal([]byte(call.Function.Arguments), &arguments); err != nil || arguments.City == "" || arguments.Days < 1 {
		t.Errorf("got arguments %s, %v; want a city and days", call.Function.Arguments, err)
	}
	p.Messages = append(p.Messages, whole.Choices[0].Message.ToParam(), openai.ToolMessage("rain", call.ID))
	client := c.client()
	a, err := client.Chat.Completions.New(t.Context(), p)
	if err != nil || a.Choices[0].Message.Content == "" || a.Choices[0].FinishReason == "tool_calls" {
		t.Errorf("got %+v, %v; want the answer in words", a, err)
	}
}

func (c goClient) structured(t *testing.T) {
	p := question(own("whole"))
	p.MaxTokens = openai.Int(256)
	p.ResponseFormat.OfJSONSchema = &openai.ResponseFormatJSONSchemaParam{JSONSchema: openai.ResponseFormatJSONSchemaJSONSchemaParam{
		Name: "city", Strict: openai.Bool(true),
		Schema: map[string]any{
			"type": "object", "required": []string{"climate"}, "additionalProperties": false,
			"properties": map[string]any{"climate": map[string]any{"enum": []string{"mild", "harsh"}}},
		},
	}}
	client := c.client()
	a, err := client.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var city struct{ Climate string }
	if err := json.Unmarshal([]byte(a.Choices[0].Message.Content), &city); err != nil || city.Climate != "mild" && city.Climate != "harsh" {
		t.Errorf("got %s, want a climate", a.Choices[0].Message.Content)
	}
}

func (c goClient) models(t *testing.T) {
	client := c.client()
	page, err := client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Count(clientConfig(), "\nmodel "); len(page.Data) != want {
		t.Errorf("got %d models, want %d", len(page.Data), want)
	}
	m, err := client.Models.Get(t.Context(), own("whole"))
	if err != nil || m.ID != own("whole") {
		t.Errorf("got model %v and error %v, want %s", m, err, own("whole"))
	}
}

func (c goClient) typedErrors(t *testing.T) {
	for _, row := range []struct {
		status int
		code   string
		model  string
		option option.RequestOption
	}{
		{401, "invalid_api_key", own("whole"), option.WithAPIKey("pl_wrong")},
		{403, "permission_denied", own("whole"), option.WithAPIKey(c.server.narrow)},
		{404, "model_not_found", "no/such-model", option.WithMaxRetries(0)},
		{429, "queue_full", "full", option.WithMaxRetries(0)},
		{503, "not_hot", "never-hot", option.WithHeader("X-Pilotlight-Max-Wait", "0s")},
	} {
		client := c.client(row.option)
		_, err := client.Chat.Completions.New(t.Context(), question(row.model))
		var typed *openai.Error
		if !errors.As(err, &typed) {
			t.Errorf("%s: got error %v, want *openai.Error", row.code, err)
			continue
		}
		if typed.StatusCode != row.status || typed.Code != row.code {
			t.Errorf("got status %d and code %s, want %d and %s", typed.StatusCode, typed.Code, row.status, row.code)
		}
	}
}

func (c goClient) failureAfterKeepalives(t *testing.T) {
	for _, mode := range []string{"comment", "chunk"} {
		stream := c.stream(t.Context(), question(own("broken-"+mode)), option.WithHeader("X-Pilotlight-Keepalive", mode))
		for stream.Next() {
			if text := stream.Current().Choices[0].Delta.Content; text != "" {
				t.Errorf("%s: got text %q from a model that cannot start", mode, text)
			}
		}
		var typed *ssestream.StreamError
		if !errors.As(stream.Err(), &typed) || !strings.Contains(string(typed.Event.Data), "activation_failed") {
			t.Errorf("%s: got error %v, want a StreamError that says activation_failed", mode, stream.Err())
		}
		stream.Close()
	}
}
