package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// tellsNoSecrets looks for prompts, answers and secrets in all that a server tells of itself, at its most talkative.
func tellsNoSecrets(t *testing.T, s *observed) {
	if _, err := s.post(t.Context(), "/chat/completions", []byte(`{"model":"`+observedModel+`","messages":[{"role":"user","content":"What is a pilot light?"}],"lora_request":1}`)); err != nil {
		t.Fatal(err)
	}
	stranger := *s.devServer
	stranger.Token = strings.Replace(s.Token, "pl_", "pl_x", 1)
	if a, err := stranger.chat(t.Context(), observedModel, false); err != nil || a.status != 401 {
		t.Fatalf("got %+v, %v; want 401", a, err)
	}
	made := s.command(t, "token", "create", "--org", "dev", "--name", "second")
	_, second, _ := strings.Cut(made, "pl_")
	second = "pl_" + strings.Fields(second)[0]

	lines, err := os.ReadFile(filepath.Join(s.DataDir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{"the log": s.stderr.String(), "the access log": string(lines), "/metrics": scrape(t, s.Admin, s.token), "/api/events": ""}
	enough := errors.New("enough")
	err = s.admin(t).Events(t.Context(), "", func(e admin.Event) error {
		told["/api/events"] += fmt.Sprint(e)
		if e.Model == brokenModel {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"a prompt": "What is a pilot light", "the caller's token": s.Token, "a mistyped token": stranger.Token, "a token just made": second,
		"the admin token": s.token, "the webhook's and the collector's secret": strings.TrimPrefix(observedSecret, "whsec_"), "a header": "Bearer",
	}
	for where, text := range told {
		if len(text) < 200 {
			t.Errorf("got %q in %s, want what has happened", text, where)
		}
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %s", where, what)
			}
		}
	}
	if !strings.Contains(told["the log"], "level=DEBUG") || !strings.Contains(told["the log"], "request ended") {
		t.Error("got no debug lines, want the log at its most talkative")
	}
}
