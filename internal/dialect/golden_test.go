package dialect_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pilotlight-io/pilotlight/internal/dialect"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

var update = flag.Bool("update", false, "write the golden files")

var head = dialect.Head{Request: "r1", Model: "m/x", Created: time.Unix(1_700_000_000, 0)}

// of gives the dialect whose cases begin with its name.
func of(name string) (dialect.Dialect, string) {
	if strings.HasPrefix(name, "messages") {
		return dialect.Messages, "messages"
	}
	return dialect.Responses, "responses"
}

// translate does what the router does with a body: the scan, the translation, and the scan of what has come of it.
func translate(name string, body []byte) (dialect.Request, *openai.Fields, error) {
	d, endpoint := of(name)
	var f openai.Fields
	if err := openai.Inspect(body, endpoint, &f); err != nil {
		return nil, nil, err
	}
	req, err := d.Translate(body, &f)
	if err != nil {
		return nil, nil, err
	}
	var chat openai.Fields
	err = openai.Inspect(req.Chat(), "chat", &chat)
	return req, &chat, err
}

// TestGolden runs the cases of testdata/golden. In a case, request.json is what a caller sends, and the other parts that have no "want" in their name are
// what an engine answers: engine.json whole, engine.sse as a stream of one chunk a line, of which "keepalive", "end" and "fail CODE" are none. What comes
// of them is held against the parts with it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, name, txtar.Parse(text))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// run gives the case as it should be.
func run(t *testing.T, name string, a *txtar.Archive) []byte {
	out := &txtar.Archive{Comment: a.Comment}
	add := func(name string, data []byte) {
		out.Files = append(out.Files, txtar.File{Name: name, Data: append(bytes.TrimSpace(data), '\n')})
	}
	var req dialect.Request
	for _, f := range a.Files {
		if strings.HasPrefix(f.Name, "want") {
			continue
		}
		add(f.Name, f.Data)
		switch f.Name {
		case "request.json":
			r, chat, err := translate(name, f.Data)
			var wrong *openai.RequestError
			switch {
			case errors.As(err, &wrong):
				add("want error", []byte(wrong.Param+"\n"+wrong.Message))
				continue
			case err != nil:
				t.Fatal(err)
			}
			req = r
			add("want chat.json", indent(t, req.Chat()))
			if found := chat.Refused(&openai.Engine{Kind: "sim"}); found != nil {
				add("want refused", []byte(found.Name+" "+found.Path+"\n"+req.Remote()))
			}
		case "engine.json":
			answer, err := req.AppendAnswer(nil, bytes.TrimSpace(f.Data), &head)
			if err != nil {
				add("want answer error", []byte(err.Error()))
				continue
			}
			add("want answer.json", indent(t, answer))
		case "engine.sse":
			add("want answer.sse", stream(t, req, f.Data))
		default:
			t.Fatalf("unknown part %s", f.Name)
		}
	}
	return txtar.Format(out)
}

func stream(t *testing.T, req dialect.Request, script []byte) []byte {
	s := req.Stream(&head)
	var b []byte
	var err error
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSpace(line)
		code, failed := strings.CutPrefix(line, "fail ")
		switch {
		case line == "":
		case line == "keepalive":
			b = s.AppendKeepalive(b)
		case failed:
			b = s.AppendFailure(b, openai.NewError(code, "Something failed."))
		case line == "end":
			b, err = s.AppendEnd(b)
		default:
			b, err = s.AppendChunk(b, []byte(line))
		}
		if err != nil {
			return append(b, "error: "+err.Error()...)
		}
	}
	wantEvents(t, b)
	return b
}

// wantEvents checks that what was made is events, each with its type in both places and valid data.
func wantEvents(t *testing.T, b []byte) {
	t.Helper()
	for event := range strings.SplitSeq(strings.TrimSuffix(string(b), "\n\n"), "\n\n") {
		first, data, _ := strings.Cut(event, "\n")
		var said struct{ Type string }
		if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &said); err != nil || "event: "+said.Type != first {
			t.Errorf("got event %q, want its type in both lines and JSON in the second (%v)", event, err)
		}
	}
}

func indent(t *testing.T, b []byte) []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return out.Bytes()
}
