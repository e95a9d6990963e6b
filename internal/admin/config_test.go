package admin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestConfigure(t *testing.T) {
	t.Parallel()
	w, file := newWorld(t), admin.ConfigFile{Name: "p.hcl", Content: "price {}\n"}
	said, err := w.client.Configure(t.Context(), file, true)
	check(t, err)
	if said.Applied || len(said.Changes) != 1 || len(w.fleet.files) != 0 {
		t.Errorf("dry: got %+v and %d files applied, want one change and nothing applied", said, len(w.fleet.files))
	}
	done, err := w.client.Configure(t.Context(), file, false)
	check(t, err)
	if !done.Applied || !cmp.Equal(done.Changes, said.Changes) || !cmp.Equal(w.fleet.files, []admin.ConfigFile{file}) {
		t.Errorf("got %+v, files %+v, want the same change, applied", done, w.fleet.files)
	}
	if status, body, _ := w.ask("POST", "/api/config?dry_run=false", `{"name": "p.hcl", "content": "x"}`); status != 200 || len(w.fleet.files) != 2 {
		t.Errorf("dry_run=false: got %d %s, %d applied", status, body, len(w.fleet.files))
	}
}

func TestConfigure_TakesAFileOfThousandsOfModels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := admin.ConfigFile{Name: "p.hcl", Content: strings.Repeat("# a model\n", 300_000)}
	if _, err := w.client.Configure(t.Context(), file, false); err != nil || len(w.fleet.files) != 1 {
		t.Errorf("a file of %d bytes: got %v", len(file.Content), err)
	}
}

func TestConfigure_AnswersWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := "content"
	w.fleet.failure = &openai.Error{Status: 400, Code: openai.CodeInvalidRequest, Type: "invalid_request_error", Param: &content, Message: "p.hcl:2: no\np.hcl:5: nor this"}
	_, err := w.client.Configure(t.Context(), admin.ConfigFile{Name: "p.hcl", Content: "x"}, false)
	var refused *openai.Error
	if !errors.As(err, &refused) || *refused.Param != content || strings.Count(refused.Message, "\n") != 1 {
		t.Errorf("got %v, want both mistakes of the content", err)
	}
	w.fleet.failure = errors.New("the disk is full")
	if status, body, _ := w.ask("POST", "/api/config", `{"name": "p.hcl", "content": "x"}`); status != 500 || strings.Contains(body, "disk") {
		t.Errorf("got %d %s, want a 500 that says nothing of the inside", status, body)
	}
}
