package trtsim_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

// process is a trtsim of its own.
type process struct {
	*exec.Cmd
	addr   string
	stderr bytes.Buffer
}

// launch starts trtsim on a port of its own and waits until it is bound.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	report := filepath.Join(t.TempDir(), "addr")
	args = append([]string{llama8B, "--host", "127.0.0.1", "--port", "0", "--report_addr", report}, args...)
	p := &process{Cmd: exec.Command(os.Args[0], args...)}
	p.Env = append(os.Environ(), "TRTSIM_TEST_MAIN=1")
	p.Stderr = &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	eventually(t, func() bool {
		b, err := os.ReadFile(report)
		p.addr = string(b)
		return err == nil
	})
	return p
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited 20 s in vain")
		}
	}
}

// oneShot opens a connection for each request, so that none is left at the end.
var oneShot = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (p *process) awaitHealth(t *testing.T) {
	t.Helper()
	eventually(t, func() bool {
		r, err := oneShot.Get("http://" + p.addr + "/health")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// stream starts a stream and gives it after its first event.
func (p *process) stream(t *testing.T, extra string) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := oneShot.Post("http://"+p.addr+"/v1/completions", "application/json", strings.NewReader(`{"model":"m","prompt":"x","stream":true,`+extra+`}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	lines := bufio.NewReader(r.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return r, lines
}

func (p *process) exit(t *testing.T) int {
	t.Helper()
	if err := p.Wait(); err != nil && p.ProcessState == nil {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

func TestConnectionsAreRefusedUntilLoaded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can hold a port without listening")
	}
	p := launch(t, "--sim-load-time", "400ms", "--sim-seed", "0")
	began := time.Now()
	refused := 0
	eventually(t, func() bool {
		c, err := net.Dial("tcp", p.addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			refused++
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		return c.Close() == nil
	})
	if got := time.Since(began); refused == 0 || got < 300*time.Millisecond {
		t.Errorf("got a connection after %v and %d refusals, want refusals for 400 ms", got, refused)
	}
	p.awaitHealth(t)
}

func TestTakenPortEndsTheProcessBeforeLoading(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	var stderr bytes.Buffer
	began := time.Now()
	status := trtsim.Main([]string{llama8B, "--host", "127.0.0.1", "--port", port}, io.Discard, &stderr)
	if status != 1 || !strings.Contains(stderr.String(), "RuntimeError: Failed to bind socket to 127.0.0.1:"+port) {
		t.Errorf("got %d %s, want 1 and a RuntimeError that names the address", status, &stderr)
	}
	if got := time.Since(began); got > 5*time.Second {
		t.Errorf("got the exit after %v, want it before loading", got)
	}
}

func TestSIGTERMWhileLoadingEndsAtOnce(t *testing.T) {
	p := launch(t)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if ws := p.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
		t.Errorf("got %v, want death by SIGTERM", p.ProcessState)
	}
}

func TestSIGTERMDrainsAndExits143(t *testing.T) {
	p := launch(t, "--sim-load-time", "0s", "--sim-token-time", "20ms")
	p.awaitHealth(t)
	_, lines := p.stream(t, `"max_tokens":30`)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { // new connections are refused while the stream goes on
		_, err := net.Dial("tcp", p.addr)
		return err != nil
	})
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") || strings.Count(string(rest), `"index"`) != 29 {
		t.Errorf("got %s, %v, want the rest of 30 tokens and the end mark", rest, err)
	}
	if got := p.exit(t); got != 143 {
		t.Errorf("got status %d %s, want 143", got, &p.stderr)
	}
}

func TestSecondSIGINTDoesNotWait(t *testing.T) {
	p := launch(t, "--sim-load-time", "0s", "--sim-token-time", "1h", "--sim-hang-after", "0")
	p.awaitHealth(t)
	r, err := oneShot.Post("http://"+p.addr+"/v1/completions", "application/json", strings.NewReader(`{"model":"m","prompt":"x","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { // the first one is being obeyed
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := p.exit(t); got != 130 {
		t.Errorf("got status %d, want 130", got)
	}
	if _, err := io.ReadAll(r.Body); err == nil {
		t.Error("got an orderly end of the stream, want it cut")
	}
}

func TestDeathExits1AndCutsTheStream(t *testing.T) {
	p := launch(t, "--sim-load-time", "0s", "--sim-die-after", "3")
	p.awaitHealth(t)
	_, lines := p.stream(t, `"max_tokens":30`)
	rest, err := io.ReadAll(lines)
	if err == nil || strings.Contains(string(rest), "[DONE]") || strings.Count(string(rest), `"index"`) != 2 {
		t.Errorf("got %s, %v, want two more tokens and a cut", rest, err)
	}
	if got := p.exit(t); got != 1 {
		t.Errorf("got status %d, want 1", got)
	}
}

func TestFailedLoadExits1(t *testing.T) {
	p := launch(t, "--sim-load-time", "100ms", "--sim-fail-load", "0.5")
	if got := p.exit(t); got != 1 || !strings.Contains(p.stderr.String(), "loading the simulated engine failed") {
		t.Errorf("got status %d %s, want 1 and why", got, &p.stderr)
	}
}

func TestDepartedClientFreesTheSlotOfAProcess(t *testing.T) {
	p := launch(t, "--sim-load-time", "0s", "--sim-token-time", "100ms", "--sim-speed", "10", "--max_batch_size", "1")
	p.awaitHealth(t)
	r, _ := p.stream(t, `"max_tokens":5000,"ignore_eos":true`) // 50 s
	r.Body.Close()
	began := time.Now()
	answer, err := oneShot.Post("http://"+p.addr+"/v1/completions", "application/json", strings.NewReader(`{"model":"m","prompt":"x","max_tokens":1}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got := time.Since(began); got > 10*time.Second {
		t.Errorf("got the slot after %v, want it after the poll of 0.1 s", got)
	}
}
