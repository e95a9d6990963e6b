package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// A stock client is a row: the program of its checks, which begins with models that are cold. Its environment is the one of that name that
// testdata/clients/install makes; node is shared by all that are JavaScript.
var stockClients = []struct {
	name string // of the row, and of the models that are its own
	env  string
	file string // below testdata/clients
}{
	{"openai-python", "openai", "openai_python.py"},
	{"openai-node", "node", "openai_node.cjs"},
	{"langchain-openai", "langchain-openai", "langchain_chat.py"},
	{"litellm", "litellm", "litellm_chat.py"},
	{"open-webui", "litellm", "open_webui_requests.py"}, // its requests alone, with the HTTP client that both have
	{"huggingface-hub", "huggingface-hub", "huggingface_chat.py"},
	{"llama-index", "llama-index-llms-openai-like", "llama_index_chat.py"},
	{"pydantic-ai", "pydantic-ai-slim", "pydantic_ai_chat.py"},
	{"instructor", "instructor", "instructor_chat.py"},
	{"vercel-ai", "node", "vercel_ai.cjs"},
	{"responses-python", "openai", "responses_python.py"},
	{"responses-node", "node", "responses_node.cjs"},
	{"openai-agents", "openai-agents", "openai_agents.py"},
	{"langchain-responses", "langchain-openai", "langchain_dialects.py"},
	{"vercel-responses", "node", "vercel_dialects.cjs"},
	{"anthropic-python", "anthropic", "anthropic_python.py"},
	{"anthropic-node", "node", "anthropic_node.cjs"},
	{"langchain-anthropic", "langchain-anthropic", "langchain_dialects.py"},
	{"vercel-anthropic", "node", "vercel_dialects.cjs"},
}

// openaiGo is the one client in Go, which needs no program of its own.
const openaiGo = "openai-go"

// coldModels are what each client has of its own: what it asks first waits for a start.
var coldModels = []string{"whole", "off", "comment", "chunk"}

// TestClients asks one server through every stock client: from cold, streamed, with tools, for structured answers, and for errors, in both
// modes of keep-alives.
func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("starts dozens of engines and of interpreters; not in short runs")
	}
	s := startClientServer(t)
	t.Run("all", func(t *testing.T) { // returns when the parallel ones have ended
		t.Run(openaiGo, func(t *testing.T) {
			t.Parallel()
			goClient{server: s}.check(t)
		})
		for _, c := range stockClients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				s.check(t, c.name, interpreter(t, c.env, c.file), filepath.Join("testdata", "clients", c.file))
			})
		}
	})
}

// interpreter gives the program that runs a client's checks. It skips where the client is not installed, or not as it is pinned now.
func interpreter(t *testing.T, env, file string) string {
	t.Helper()
	dir := os.Getenv("PILOTLIGHT_CLIENTS")
	installed, err := os.ReadFile(filepath.Join(dir, env, "installed"))
	if dir == "" || err != nil || strings.TrimSpace(string(installed)) != pinned(t, env) {
		required(t, "the stock clients are not installed as they are pinned; run cmd/pilotlight/testdata/clients/install DIR, and set PILOTLIGHT_CLIENTS to DIR, an absolute path")
	}
	if strings.HasSuffix(file, "js") {
		return "node"
	}
	return filepath.Join(dir, env, "bin", "python")
}

// pinned is what an environment is made of: package.json, or a line of requirements.txt.
func pinned(t *testing.T, env string) string {
	t.Helper()
	list := "requirements.txt"
	if env == "node" {
		list = "package.json"
	}
	text, err := os.ReadFile(filepath.Join("testdata", "clients", list))
	if err != nil {
		t.Fatal(err)
	}
	if env == "node" {
		return strings.TrimSpace(string(text))
	}
	for line := range strings.Lines(string(text)) {
		if name, rest, _ := strings.Cut(line, env); name == "" && (rest[0] == '=' || rest[0] == '[') {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("requirements.txt has no line for %s", env)
	return ""
}

// clientConfig is the config of a server for all rows: the heartbeat is short, so that every cold stream gets keep-alives.
func clientConfig() string {
	text := `
api {
  stream_heartbeat = "100ms"
}
backend "local" {
  gpus        = 64
  host_memory = "1.5TiB"
}
model "full" {
  gpus = 1
  queue {
    limit = 1
  }
  engine "sim" {
    args = ["--sim-speed", "0.01"]
  }
}
`
	text += simModels("", "never-hot")
	text += "model \"embeddings\" {\n  gpus = 1\n  endpoints = [\"embeddings\"]\n  engine \"sim\" {}\n}\n"
	names := []string{openaiGo}
	for _, c := range stockClients {
		names = append(names, c.name)
	}
	for _, name := range names {
		for _, m := range coldModels {
			text += simModels("", name+"/"+m)
		}
		text += simModels(`args = ["--sim-fail-load", "1"]`, name+"/broken-comment", name+"/broken-chunk")
	}
	return text
}

// simModels are models of one GPU with a simulated engine.
func simModels(engine string, ids ...string) string {
	var text strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&text, "model %q {\n  gpus = 1\n  engine \"sim\" {\n    %s\n  }\n}\n", id, engine)
	}
	return text.String()
}

// clientServer is a server as the checks of stock clients want it, and what they are told about it.
type clientServer struct {
	*devServer
	narrow, comment, chunk string // secrets of tokens: for never-hot only; with these modes of keep-alives
}

func startClientServer(t *testing.T) *clientServer {
	t.Helper()
	s := &clientServer{devServer: startDev(t, t.TempDir(), "--config", writeConfig(t, clientConfig()), "--sim-speed", "60")}
	client := s.admin(t)
	issue := func(n admin.NewToken) string {
		n.Org = devOrg
		issued, err := client.CreateToken(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return issued.Secret
	}
	s.narrow = issue(admin.NewToken{Name: "narrow", Models: []string{"never-hot"}})
	s.comment = issue(admin.NewToken{Name: "comment", Keepalive: "comment"})
	s.chunk = issue(admin.NewToken{Name: "chunk", Keepalive: "chunk"})
	s.fill(t, client)
	return s
}

// fill takes the only place in the queue of the model full, until the test ends.
func (s *clientServer) fill(t *testing.T, client *admin.Client) {
	ctx, leave := context.WithCancel(context.Background())
	var waiter sync.WaitGroup
	waiter.Go(func() { _, _ = s.chat(ctx, "full", false) })
	t.Cleanup(func() {
		leave()
		waiter.Wait()
	})
	eventually(t, 10*time.Second, func() string {
		m, err := client.Model(t.Context(), "full")
		if err != nil {
			return err.Error()
		}
		if m.Waiting != 1 {
			return "nobody waits for the model full"
		}
		return ""
	})
}

// check runs a program that exits 0 when all is as the client's users expect.
func (s *clientServer) check(t *testing.T, name, program, file string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, file)
	cmd.Env = append(
		os.Environ(), "OPENAI_BASE_URL="+s.API, "OPENAI_API_KEY="+s.Token, "PILOTLIGHT_CLIENT="+name, "PILOTLIGHT_NARROW_KEY="+s.narrow,
		"PILOTLIGHT_COMMENT_KEY="+s.comment, "PILOTLIGHT_CHUNK_KEY="+s.chunk,
		"NODE_PATH="+filepath.Join(os.Getenv("PILOTLIGHT_CLIENTS"), "node", "node_modules"), "PYTHONDONTWRITEBYTECODE=1",
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", file, err, out)
		return
	}
	t.Logf("%s", out)
}
