package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// handEvery is the pause between two looks at an engine that does not listen yet.
const handEvery = 2 * time.Millisecond

// byHand submits the job that the server submits, as a cluster of its own, so that no server takes it for its own.
type byHand struct {
	nomad string
	text  string
}

// run submits the job, learns its address from Nomad's event stream, and asks until one token has been generated. The job is stopped afterwards.
func (b *byHand) run(ctx context.Context, n int) (took steps, err error) {
	job, id, err := b.parse(ctx, n)
	if err != nil {
		return took, err
	}
	events, err := b.follow(ctx, id)
	if err != nil {
		return took, err
	}
	defer events.Close()
	began := time.Now()
	if err := ask(ctx, http.MethodPost, b.nomad+"/v1/jobs", []byte(`{"Job": `+string(job)+`}`), nil); err != nil {
		return took, err
	}
	defer func() {
		err = errors.Join(err, ask(ctx, http.MethodDelete, b.nomad+"/v1/job/"+id, nil, nil))
	}()
	addr, err := placed(events)
	if err != nil {
		return took, err
	}
	if err := untilToken(ctx, addr); err != nil {
		return took, err
	}
	ended := time.Now()
	t, err := readTimes(ctx, b.nomad, id)
	return t.steps(began, ended, ended), err
}

// parse has Nomad read the job, which is no part of what is timed.
func (b *byHand) parse(ctx context.Context, n int) (job json.RawMessage, id string, err error) {
	body := encode(map[string]any{
		"JobHCL": b.text, "Canonicalize": true,
		"Variables": fmt.Sprintf("cluster = \"byhand\"\ninstance = \"turn-%d\"\n", n),
	})
	if err := ask(ctx, http.MethodPost, b.nomad+"/v1/jobs/parse", body, &job); err != nil {
		return nil, "", err
	}
	var named struct{ ID string }
	err = json.Unmarshal(job, &named)
	return job, named.ID, err
}

// follow opens the event stream of the job's allocations.
func (b *byHand) follow(ctx context.Context, id string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.nomad+"/v1/event/stream?topic=Allocation:"+id, nil)
	if err != nil {
		return nil, fmt.Errorf("following Nomad's events: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("following Nomad's events: %w", err)
	}
	return answer.Body, nil
}

// placed reads the engine's address from the first event that has it.
func placed(events io.Reader) (addr string, err error) {
	for lines := json.NewDecoder(events); ; {
		var batch struct {
			Events []struct {
				Payload struct {
					Allocation struct {
						AllocatedResources struct {
							Shared struct {
								Ports []struct {
									HostIP string
									Value  int
								}
							}
						}
					}
				}
			}
		}
		if err := lines.Decode(&batch); err != nil {
			return "", fmt.Errorf("waiting for the job's place: %w", err)
		}
		for _, e := range batch.Events {
			for _, p := range e.Payload.Allocation.AllocatedResources.Shared.Ports {
				return net.JoinHostPort(p.HostIP, strconv.Itoa(p.Value)), nil
			}
		}
	}
}

// untilToken asks for health, and then for one token.
func untilToken(ctx context.Context, addr string) error {
	token := encode(map[string]any{
		"model": "bench", "max_tokens": 1, "messages": []any{map[string]string{"role": "user", "content": "hi"}},
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(handEvery) {
		if ask(ctx, http.MethodGet, "http://"+addr+"/health", nil, nil) == nil {
			return ask(ctx, http.MethodPost, "http://"+addr+"/v1/chat/completions", token, nil)
		}
	}
	return fmt.Errorf("nobody has answered at %s for 30 s", addr)
}

// ask is one exchange that has to succeed.
func ask(ctx context.Context, method, url string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("reading %s: %w", url, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("asking %s: status %d: %s", url, answer.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading %s: %w", url, err)
	}
	return nil
}
