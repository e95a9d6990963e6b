package dialect_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pilotlight-io/pilotlight/internal/dialect"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// parts gives the parts of a name in all golden cases of a dialect.
func parts(f *testing.F, name, part string) (all [][]byte) {
	files, err := filepath.Glob("testdata/golden/" + name + "*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range txtar.Parse(text).Files {
			if p.Name == part {
				all = append(all, p.Data)
			}
		}
	}
	return all
}

// FuzzTranslate holds any body against the promise that what is made of it is a chat request that passes the strict scan, for the same model.
func FuzzTranslate(f *testing.F) {
	for _, name := range []string{"messages", "responses"} {
		for _, body := range parts(f, name, "request.json") {
			f.Add(name == "messages", body)
		}
	}
	f.Fuzz(func(t *testing.T, messages bool, body []byte) {
		d, endpoint := of(map[bool]string{true: "messages", false: "responses"}[messages])
		var before, after openai.Fields
		if openai.Inspect(body, endpoint, &before) != nil {
			return
		}
		req, err := d.Translate(body, &before)
		if err != nil {
			return
		}
		if err := openai.Inspect(req.Chat(), "chat", &after); err != nil {
			t.Fatalf("%s became %s: %v", body, req.Chat(), err)
		}
		if after.Model != before.Model || after.Stream != before.Stream {
			t.Fatalf("%s became %s, of another model or mode", body, req.Chat())
		}
		var chat struct {
			Messages []struct{ Role string }
		}
		if err := json.Unmarshal(req.Chat(), &chat); err != nil || len(chat.Messages) == 0 {
			t.Fatalf("%s became %s without messages (%v)", body, req.Chat(), err)
		}
	})
}

// FuzzAnswer holds any answer of an engine, and any stream of chunks, against the promise that what is made of it is JSON, and events.
func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"messages", "responses"} {
		for _, part := range []string{"engine.json", "engine.sse"} {
			for _, chat := range parts(f, name, part) {
				f.Add(name == "messages", chat)
			}
		}
	}
	requests := map[bool]dialect.Request{}
	for messages, body := range map[bool]string{
		true:  `{"model":"m","max_tokens":1,"stream":true,"stop_sequences":["x"],"thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"hi"}]}`,
		false: `{"model":"m","stream":true,"input":"hi"}`,
	} {
		req, _, err := translate(map[bool]string{true: "messages", false: "responses"}[messages], []byte(body))
		if err != nil {
			f.Fatal(err)
		}
		requests[messages] = req
	}
	f.Fuzz(func(t *testing.T, messages bool, chat []byte) {
		req := requests[messages]
		if answer, err := req.AppendAnswer(nil, chat, &head); err == nil && !json.Valid(answer) {
			t.Errorf("%s became %s", chat, answer)
		}
		d, _ := of(map[bool]string{true: "messages", false: "responses"}[messages])
		d.Usage(chat)
		s := req.Stream(&head)
		var b []byte
		var err error
		for line := range bytes.Lines(chat) {
			d.Read(line)
			if b, err = s.AppendChunk(b, bytes.TrimSpace(line)); err != nil {
				b = s.AppendFailure(b, openai.NewError(openai.CodeEngineError, err.Error()))
				break
			}
		}
		if err == nil {
			if b, err = s.AppendEnd(b); err != nil {
				b = s.AppendFailure(b, openai.NewError(openai.CodeEngineError, err.Error()))
			}
		}
		wantEvents(t, b)
		if n := strings.Count(string(b), "\r"); n > 0 {
			t.Errorf("got %d carriage returns in events, want none", n)
		}
	})
}
