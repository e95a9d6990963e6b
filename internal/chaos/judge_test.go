//go:build linux

package chaos_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What a client must not get is noticed.
func TestJudge_NoticesWhatMustNotBe(t *testing.T) {
	reference := newReference(t)
	const id = "of-the-test"
	right := reference.text(prompt(&outcome{id: id}, 12, false))
	if len(right) < 20 {
		t.Fatalf("the reference says %q", right)
	}
	event := func(text string) string {
		return `data: {"choices":[{"index":0,"delta":{"content":"` + text + `"}}]}` + "\n\n"
	}
	const failed, done = `data: {"error":{"code":"engine_error","message":"m"}}` + "\n\n", "data: [DONE]\n\n"
	began := time.Now()
	killed := &light{process: &process{spans: []span{{from: began.Add(time.Second)}}}}
	drained := &light{process: &process{spans: []span{{from: began.Add(-time.Second), orderly: true}}}}
	for _, row := range []struct {
		name, body string
		err        error
		light      *light
		wrong      string // part of what is said; "" = nothing is wrong
	}{
		{name: "whole", body: ": a comment\n\n" + event(right[:9]) + event(right[9:]) + done},
		{name: "failed in the middle", body: event(right[:9]) + failed},
		{name: "failed, and its connection cut", body: event(right[:9]) + failed, err: io.ErrUnexpectedEOF},
		{name: "another text", body: event("A"+right) + done, wrong: "got the answer"},
		{name: "twice", body: event(right) + event(right) + done, wrong: "got the answer"},
		{name: "a part twice, then failed", body: event(right[:9]) + event(right[:9]) + failed, wrong: "got the beginning"},
		{name: "too short", body: event(right[:9]) + done, wrong: "got the answer"},
		{name: "more behind the end", body: event(right) + done + event(right), wrong: "behind the end"},
		{name: "more behind an error", body: failed + event(right) + done, wrong: "behind the end"},
		{name: "silently over", body: event(right[:9]), wrong: "by a server that lives"},
		{name: "cut", body: event(right[:9]), err: io.ErrUnexpectedEOF, wrong: "by a server that lives"},
		{name: "cut by the server's end", body: event(right[:9]), err: io.ErrUnexpectedEOF, light: killed},
		{name: "cut by an orderly end", body: event(right[:9]), err: io.ErrUnexpectedEOF, light: drained, wrong: "by a server that lives"},
		{name: "an unfair error", body: strings.Replace(failed, "engine_error", "invalid_api_key", 1), wrong: "none of a broken installation"},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := &load{reference: reference, latest: map[question]*time.Time{}}
			o := &outcome{id: id, model: hotModel, light: row.light, began: began, ended: began.Add(2 * time.Second)}
			if o.light == nil {
				o.light = &light{process: &process{name: "server"}}
			}
			body := io.Reader(strings.NewReader(row.body))
			if row.err != nil {
				body = io.MultiReader(body, failing{row.err})
			}
			response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(body)}
			o.answer = readAnswer(response, func() {})
			l.judge(o, 12)
			if said := strings.Join(l.wrong, "; "); row.wrong == "" && said != "" || !strings.Contains(said, row.wrong) {
				t.Errorf("got %q, want %q", said, row.wrong)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
