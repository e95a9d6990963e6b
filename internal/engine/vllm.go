package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// vllm is vLLM's sleep mode at level 1: weights go to host memory, the KV cache is dropped. Its routes are there only in the
// server's development mode, and nothing authenticates them.
type vllm struct{}

func (vllm) park(ctx context.Context, w *wire) (int, []byte, error) {
	return w.do(ctx, http.MethodPost, "/sleep?level=1", nil)
}

func (vllm) resume(ctx context.Context, w *wire) (int, []byte, error) {
	return w.do(ctx, http.MethodPost, "/wake_up", nil)
}

func (vllm) look(ctx context.Context, w *wire) (memoryState, error) {
	status, answer, err := w.do(ctx, http.MethodGet, "/is_sleeping", nil)
	if err := outcome(status, answer, err); err != nil {
		return "", err
	}
	var said struct {
		Sleeping *bool `json:"is_sleeping"`
	}
	if err := json.Unmarshal(answer, &said); err != nil || said.Sleeping == nil {
		return "", fmt.Errorf("%w: no is_sleeping in %s", ErrRefused, excerpt(answer))
	}
	if *said.Sleeping {
		return memoryParked, nil
	}
	return memoryRunning, nil
}
