//go:build unix

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ask asks an agent's API, as one who may do everything. question nil = no body; answer nil = not wanted.
func (c *Cluster) ask(ctx context.Context, method, url string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", url, err)
	}
	if question == nil {
		body = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking for %s: %w", url, err)
	}
	if c.Token != "" {
		request.Header.Set("X-Nomad-Token", c.Token)
		request.Header.Set("X-Consul-Token", c.Token)
	}
	return exchange(c.client, request, answer)
}

// exchange performs one request whose answer is JSON.
func exchange(client *http.Client, request *http.Request, answer any) error {
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", request.URL, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading the answer to %s: %w", request.URL, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("asking for %s: %s: %s", request.URL, response.Status, bytes.TrimSpace(text))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", request.URL, err)
	}
	return nil
}

// pause waits a moment, and says why there is no use in more.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}
