package main

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	var known []name
	for _, id := range []string{
		"mistralai/Mixtral-8x22B-Instruct-v0.1", "mistralai/Mixtral-8x7B-Instruct-v0.1", "mistralai/Mistral-7B-Instruct-v0.3",
		"meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3-8B-Instruct", "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8", "local", "acme", "dev",
	} {
		known = append(known, name{text: id})
	}
	for _, row := range []struct{ given, want string }{
		{"meta-llama/Meta-Llama-3.1-8B-Instuct", "meta-llama/Meta-Llama-3.1-8B-Instruct meta-llama/Meta-Llama-3-8B-Instruct"},
		{"meta-llama/meta-llama-3.1-8b-instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct meta-llama/Meta-Llama-3-8B-Instruct"},
		{"Mistral-7B-Instruct-v0.3", "mistralai/Mistral-7B-Instruct-v0.3"},
		{"llama-8b", "meta-llama/Meta-Llama-3.1-8B-Instruct meta-llama/Meta-Llama-3-8B-Instruct"},
		{"405b", "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"},
		{"locla", "local"},
		{"dex", "dev"},
		{"amce", "acme"},
		{"gpt-4o", ""},
		{"nope", ""},
		{"", ""},
		{"b", ""},
	} {
		if got := strings.Join(nearest(row.given, known), " "); got != row.want {
			t.Errorf("%q: got %q, want %q", row.given, got, row.want)
		}
	}
}
