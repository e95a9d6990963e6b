package slot

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// answers is what a supervisor says.
type answers struct {
	status int
	body   string
}

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Status: http.StatusText(a.status), Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// FuzzSupervisor has a slot's supervisor say anything: a stream always ends with an error, for it never ends well, and an order is accepted by 202 alone.
func FuzzSupervisor(f *testing.F) {
	f.Add(200, "id: 1\ndata: {\"Source\":\"slot\",\"At\":\"2026-01-01T00:00:00Z\",\"Complete\":true,\"Instances\":[{\"ID\":\"a\",\"Phase\":\"ready\"}]}\n\n: alive\n\ndata: {\"At\":\"0001-01-01T00:00:00Z\"}\n\n")
	f.Add(200, "data: null\n\ndata: [1]\n\n")
	f.Add(409, `{"error":{"code":"old_term","message":"x"}}`)
	f.Add(500, `{"error":{"code":"`)
	f.Add(202, "")
	f.Fuzz(func(t *testing.T, status int, body string) {
		c, err := NewClient(ClientConfig{Addr: "127.0.0.1:1", Key: strings.Repeat("k", MinKey)})
		if err != nil {
			t.Fatal(err)
		}
		c.http = &http.Client{Transport: answers{status, body}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		if err := c.follow(context.Background(), func(fleet.Observation) {}, func() {}); err == nil {
			t.Error("the stream has ended without an error")
		}
		if err := c.Fence(context.Background(), 1); (err == nil) != (status == http.StatusAccepted) {
			t.Errorf("status %d: got %v", status, err)
		}
	})
}
