package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestEndpoints_WhatCallersMayUse: what can be translated is there wherever chat is, unless the model says not to.
func TestEndpoints_WhatCallersMayUse(t *testing.T) {
	for _, row := range []struct {
		model  string
		serves []fleet.Endpoint
		native []fleet.Endpoint
	}{
		{``, []fleet.Endpoint{"chat", "completions", "responses", "messages"}, []fleet.Endpoint{"chat", "completions"}},
		{`endpoints = ["chat"]`, []fleet.Endpoint{"chat", "responses", "messages"}, []fleet.Endpoint{"chat"}},
		{`endpoints = ["completions"]`, []fleet.Endpoint{"completions"}, []fleet.Endpoint{"completions"}},
		{`endpoints = ["embeddings"]`, []fleet.Endpoint{"embeddings"}, []fleet.Endpoint{"embeddings"}},
		{`translate = false`, []fleet.Endpoint{"chat", "completions"}, []fleet.Endpoint{"chat", "completions"}},
		{"translate = false\nendpoints = [\"chat\", \"messages\"]\nnative = [\"chat\", \"messages\"]", []fleet.Endpoint{"chat", "messages"}, []fleet.Endpoint{"chat", "messages"}},
		{`native = ["chat", "messages"]` + "\n" + `endpoints = ["chat"]`, []fleet.Endpoint{"chat", "responses", "messages"}, []fleet.Endpoint{"chat", "messages"}},
	} {
		m := parse(t, config.Options{}, "model \"acme/own\" {\n  gpus = 1\n  "+row.model+"\n  engine \"vllm\" { weights = \"/srv/own\" }\n}").Models[0]
		var native []fleet.Endpoint
		for _, e := range m.Endpoints {
			if m.ServesNatively(e) {
				native = append(native, e)
			}
		}
		if !slices.Equal(m.Endpoints, row.serves) || !slices.Equal(native, row.native) {
			t.Errorf("%s: got %v, natively %v, want %v and %v", row.model, m.Endpoints, native, row.serves, row.native)
		}
	}
}

func TestEndpoints_WhatNothingServesIsAMistake(t *testing.T) {
	for model, says := range map[string]string{
		"translate = false\nendpoints = [\"chat\", \"messages\"]": `nothing serves "messages"`,
		`endpoints = ["completions", "responses"]`:                "",
		`native = ["completions"]`:                                `nothing serves "chat"`,
		`endpoints = ["chat", "embeddings"]`:                      `make it two models`,
		`translate = "no"`:                                        `translate is text; write true or false`,
		`native = []`:                                             `native is empty`,
	} {
		_, err := config.Parse("x.hcl", []byte("model \"acme/own\" {\n  gpus = 1\n  "+model+"\n  engine \"sim\" {}\n}"))
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want a mistake that says %q", model, err, says)
		}
	}
}
