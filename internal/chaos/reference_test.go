//go:build linux

package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

// reference is an engine of the test's own that nobody disturbs. The simulator's text follows from the prompt, so that what it says is what every engine has to say.
type reference struct{ engine *trtsim.Engine }

func newReference(t *testing.T) *reference {
	t.Helper()
	engine, err := trtsim.New(trtsim.Config{Model: hotModel, Seed: 1, LoadTime: -1, ContainerStart: -1, TokenTime: time.Microsecond})
	must(t, err)
	must(t, engine.Load(t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = engine.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		engine.Close()
	})
	return &reference{engine}
}

// text is the right answer to a request; "" = the engine gives none.
func (r *reference) text(question map[string]any) string {
	text, _ := json.Marshal(question) // of strings and numbers
	request := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", bytes.NewReader(text))
	request.Header.Set("Content-Type", "application/json")
	answered := httptest.NewRecorder()
	r.engine.ServeHTTP(answered, request)
	return readAnswerText(answered.Body.Bytes())
}

func readAnswerText(text []byte) string {
	var b body
	if json.Unmarshal(text, &b) != nil || len(b.Choices) != 1 {
		return ""
	}
	return b.Choices[0].Message.Content
}
