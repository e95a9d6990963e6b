package console

import (
	"fmt"
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// snippet is a whole program, or a line for a shell, that asks a model.
type snippet struct {
	Name, File, Before, Code string // Before says what has to be there first
}

// TokenVariable is the environment variable that snippets take the token from.
const TokenVariable = "PILOTLIGHT_TOKEN"

// snippets are programs that stream an answer of the model. They take the token from the environment, so that nobody copies it into a file.
func snippets(api string, m *fleet.Model) []snippet {
	if !m.Serves(fleet.EndpointChat) {
		return nil
	}
	id, base := strconv.Quote(m.ID), strconv.Quote(api)
	return []snippet{
		{"Python", "ask.py", "pip install openai", fmt.Sprintf(`import os
from openai import OpenAI

client = OpenAI(base_url=%s, api_key=os.environ["%s"])
stream = client.chat.completions.create(
    model=%s,
    messages=[{"role": "user", "content": "What is a pilot light?"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
`, base, TokenVariable, id)},
		{"JavaScript", "ask.mjs", "npm install openai", fmt.Sprintf(`import OpenAI from "openai";

const client = new OpenAI({ baseURL: %s, apiKey: process.env.%s });
const stream = await client.chat.completions.create({
  model: %s,
  messages: [{ role: "user", content: "What is a pilot light?" }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
console.log();
`, base, TokenVariable, id)},
		{"curl", "ask.sh", "", fmt.Sprintf(`curl -N %s/chat/completions \
  -H "Authorization: Bearer $%s" \
  -H "Content-Type: application/json" \
  -d '{"model": %s, "stream": true, "messages": [{"role": "user", "content": "What is a pilot light?"}]}'
`, api, TokenVariable, id)},
		{"Go", "main.go", "go get github.com/openai/openai-go/v3", fmt.Sprintf(`package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	client := openai.NewClient(option.WithBaseURL(%s), option.WithAPIKey(os.Getenv("%s")))
	stream := client.Chat.Completions.NewStreaming(context.Background(), openai.ChatCompletionNewParams{
		Model:    %s,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("What is a pilot light?")},
	})
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			fmt.Print(choice.Delta.Content)
		}
	}
	if err := stream.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println()
}
`, base, TokenVariable, id)},
	}
}
