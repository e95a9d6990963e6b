package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Events calls f with every transition after the event whose ID is after ("" = all that the server still remembers,
// AfterNow = only new ones) until ctx is done, f fails, or the server ends the stream (io.EOF); the error says which.
// It does not reconnect: the ID of the last event is the place to go on at.
func (c *Client) Events(ctx context.Context, after string, f func(Event) error) error {
	response, err := c.do(ctx, http.MethodGet, "/api/events"+search("after", after), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, found := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !found {
			continue // an ID, which the data has too, or a comment
		}
		var e Event
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case lines.Err() != nil:
		return fmt.Errorf("reading events: %w", lines.Err())
	}
	return io.EOF
}
