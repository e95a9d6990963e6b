package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// sdkConfig has one cold model for each thing that a client does from cold, and one for each way to fail. The heartbeat is
// short, so that every cold stream gets keep-alives.
var sdkConfig = `
api {
  stream_heartbeat = "100ms"
}
model "full" {
  gpus = 1
  queue {
    limit = 1
  }
  engine "sim" {
    args = ["--sim-speed", "0.1"]
  }
}
model "never-hot" {
  gpus = 1
  engine "sim" {}
}
` + simModels("", "cold/1", "cold/2", "cold/3", "cold/4", "cold/5", "raw/comment", "raw/chunk") +
	simModels(`args = ["--sim-fail-load", "1"]`, "broken/comment", "broken/chunk")

// simModels are models of one GPU with a simulated engine.
func simModels(engine string, ids ...string) string {
	var text strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&text, "model %q {\n  gpus = 1\n  engine \"sim\" {\n    %s\n  }\n}\n", id, engine)
	}
	return text.String()
}

// sdkServer is a server as the checks of stock clients want it, and what they are told about it.
type sdkServer struct {
	*devServer
	narrow string // secret of a token that may use never-hot only
}

func startSDKServer(t *testing.T) *sdkServer {
	t.Helper()
	s := &sdkServer{devServer: startDev(t, t.TempDir(), "--config", writeConfig(t, sdkConfig), "--sim-speed", "60")}
	client := s.admin(t)
	issued, err := client.CreateToken(t.Context(), admin.NewToken{Org: devOrg, Name: "narrow", Models: []string{"never-hot"}})
	if err != nil {
		t.Fatal(err)
	}
	s.narrow = issued.Secret
	s.fill(t, client)
	return s
}

// fill takes the only place in the queue of the model full, until the test ends.
func (s *sdkServer) fill(t *testing.T, client *admin.Client) {
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

// env is what the checks in other languages are told.
func (s *sdkServer) env() []string {
	return append(os.Environ(), "OPENAI_BASE_URL="+s.API, "OPENAI_API_KEY="+s.Token, "PILOTLIGHT_NARROW_KEY="+s.narrow)
}

func (s *sdkServer) check(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = s.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", filepath.Base(args[len(args)-1]), err, out)
	}
}

func TestSDK_PythonSeesWhatItsUsersExpect(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a dozen engines; not in short runs")
	}
	if err := exec.Command("python3", "-c", "import openai").Run(); err != nil {
		required(t, "python3 cannot import openai; install it with: pip install openai")
	}
	startSDKServer(t).check(t, "python3", "testdata/sdk/check.py")
}

func TestSDK_JavaScriptSeesWhatItsUsersExpect(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a dozen engines; not in short runs")
	}
	if modules := os.Getenv("PILOTLIGHT_NODE_MODULES"); modules != "" {
		t.Setenv("NODE_PATH", modules)
	}
	if err := exec.Command("node", "-e", `require("openai")`).Run(); err != nil {
		required(t, "node cannot load openai; install it with: npm install openai, and set PILOTLIGHT_NODE_MODULES to its node_modules")
	}
	startSDKServer(t).check(t, "node", "testdata/sdk/check.cjs")
}

func TestSDK_GoSeesWhatItsUsersExpect(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a dozen engines; not in short runs")
	}
	c := goClient{t: t, server: startSDKServer(t)}
	t.Run("whole answer from cold", c.wholeFromCold)
	for model, mode := range map[string]string{"cold/2": "off", "cold/3": "comment", "cold/4": "chunk"} {
		t.Run("stream from cold, keep-alive "+mode, func(t *testing.T) { c.streamFromCold(t, model, mode) })
	}
	t.Run("keep-alives do come", c.keepalivesDoCome)
	t.Run("stream with usage", c.streamWithUsage)
	t.Run("models", c.models)
	t.Run("typed errors", c.typedErrors)
	t.Run("failure after keep-alives", c.failureAfterKeepalives)
}

// goClient does with openai-go what testdata/sdk does with the other clients.
type goClient struct {
	t      *testing.T
	server *sdkServer
}

func (c goClient) client(more ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(c.server.API + "/"), option.WithAPIKey(c.server.Token), option.WithMaxRetries(0),
	}, more...)...)
}

func question(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:     model,
		Messages:  []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Say hello.")},
		MaxTokens: openai.Int(8),
	}
}

func (c goClient) stream(ctx context.Context, p openai.ChatCompletionNewParams, more ...option.RequestOption) *ssestream.Stream[openai.ChatCompletionChunk] {
	client := c.client(more...)
	return client.Chat.Completions.NewStreaming(ctx, p)
}

func (c goClient) wholeFromCold(t *testing.T) {
	client := c.client()
	a, err := client.Chat.Completions.New(t.Context(), question("cold/1"))
	if err != nil {
		t.Fatal(err)
	}
	if a.Choices[0].Message.Content == "" || a.Usage.CompletionTokens == 0 {
		t.Errorf("got %+v, want an answer with usage", a)
	}
}

func (c goClient) streamFromCold(t *testing.T, model, mode string) {
	stream := c.stream(t.Context(), question(model), option.WithHeader("X-Pilotlight-Keepalive", mode))
	defer stream.Close()
	var text strings.Builder
	for stream.Next() {
		text.WriteString(stream.Current().Choices[0].Delta.Content)
	}
	if stream.Err() != nil || strings.TrimSpace(text.String()) == "" {
		t.Errorf("got text %q and error %v, want text and none", text.String(), stream.Err())
	}
}

// keepalivesDoCome looks at the bytes, because clients do not show what they skip.
func (c goClient) keepalivesDoCome(t *testing.T) {
	for mode, sign := range map[string]string{"comment": ": pilotlight state=", "chunk": `"delta":{"content":""},"finish_reason":null`} {
		a := c.server.mustChat(t, "raw/"+mode, true, "X-Pilotlight-Keepalive", mode)
		before, _, _ := strings.Cut(a.body, "simulat")
		if !strings.Contains(before, sign) {
			t.Errorf("%s: got %q before the answer, want a keep-alive", mode, before)
		}
	}
}

func (c goClient) streamWithUsage(t *testing.T) {
	p := question("cold/5")
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.stream(t.Context(), p)
	defer stream.Close()
	var last openai.ChatCompletionChunk
	for stream.Next() {
		last = stream.Current()
	}
	if stream.Err() != nil || last.Usage.CompletionTokens == 0 || len(last.Choices) != 0 {
		t.Errorf("got last chunk %s and error %v, want usage, no choices, and none", last.RawJSON(), stream.Err())
	}
}

func (c goClient) models(t *testing.T) {
	client := c.client()
	page, err := client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Data) != 11 {
		t.Errorf("got %d models, want 11", len(page.Data))
	}
	m, err := client.Models.Get(t.Context(), "cold/1")
	if err != nil || m.ID != "cold/1" {
		t.Errorf("got model %v and error %v, want cold/1", m, err)
	}
}

func (c goClient) typedErrors(t *testing.T) {
	for _, row := range []struct {
		status int
		code   string
		model  string
		option option.RequestOption
	}{
		{401, "invalid_api_key", "cold/1", option.WithAPIKey("pl_wrong")},
		{403, "permission_denied", "cold/1", option.WithAPIKey(c.server.narrow)},
		{404, "model_not_found", "no/such-model", option.WithMaxRetries(0)},
		{429, "queue_full", "full", option.WithMaxRetries(0)},
		{503, "not_hot", "never-hot", option.WithHeader("X-Pilotlight-Max-Wait", "0s")},
	} {
		client := c.client(row.option)
		_, err := client.Chat.Completions.New(t.Context(), question(row.model))
		var typed *openai.Error
		if !errors.As(err, &typed) {
			t.Errorf("%s: got error %v, want *openai.Error", row.code, err)
			continue
		}
		if typed.StatusCode != row.status || typed.Code != row.code {
			t.Errorf("got status %d and code %s, want %d and %s", typed.StatusCode, typed.Code, row.status, row.code)
		}
	}
}

func (c goClient) failureAfterKeepalives(t *testing.T) {
	for _, mode := range []string{"comment", "chunk"} {
		stream := c.stream(t.Context(), question("broken/"+mode), option.WithHeader("X-Pilotlight-Keepalive", mode))
		for stream.Next() {
			if text := stream.Current().Choices[0].Delta.Content; text != "" {
				t.Errorf("%s: got text %q from a model that cannot start", mode, text)
			}
		}
		var typed *ssestream.StreamError
		if !errors.As(stream.Err(), &typed) || !strings.Contains(string(typed.Event.Data), "activation_failed") {
			t.Errorf("%s: got error %v, want a StreamError that says activation_failed", mode, stream.Err())
		}
		stream.Close()
	}
}
