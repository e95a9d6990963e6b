package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// trtllm is the signed control plane of TensorRT-LLM's sleep mode. Bodies are empty, which stands for all memory.
type trtllm struct{ key []byte }

func (t *trtllm) park(ctx context.Context, w *wire) (int, []byte, error) {
	return t.call(ctx, w, http.MethodPost, "/release_memory")
}

func (t *trtllm) resume(ctx context.Context, w *wire) (int, []byte, error) {
	return t.call(ctx, w, http.MethodPost, "/resume_memory")
}

func (t *trtllm) look(ctx context.Context, w *wire) (memoryState, error) {
	status, answer, err := t.call(ctx, w, http.MethodGet, "/memory_status")
	if err := outcome(status, answer, err); err != nil {
		return "", err
	}
	var said struct{ State memoryState }
	if err := json.Unmarshal(answer, &said); err != nil || said.State == "" {
		return "", fmt.Errorf("%w: no state in %s", ErrRefused, excerpt(answer))
	}
	return said.State, nil
}

// call makes one attempt, which no other may repeat: its nonce is used up, and its timestamp ages.
func (t *trtllm) call(ctx context.Context, w *wire, method, route string) (int, []byte, error) {
	req, err := http.NewRequest(method, "http://"+w.addr+route, bytes.NewReader(nil))
	if err != nil {
		return 0, nil, err
	}
	stamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), randomHex(16)
	req.Header.Set(HeaderAuth, Signature(t.key, method, route, stamp, nonce, nil))
	req.Header.Set(HeaderTimestamp, stamp)
	req.Header.Set(HeaderNonce, nonce)
	return w.send(ctx, req)
}

// NewKey makes a control key for one engine process, as text that fits an environment variable.
func NewKey() string { return randomHex(32) }

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
