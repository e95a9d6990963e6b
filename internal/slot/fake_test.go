//go:build linux

package slot_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

// The test binary plays four more parts: the simulator, an engine, a process that an engine has started, and a supervisor that can be killed.
const (
	fakeVariable       = "SLOT_TEST_ENGINE"     // what the engine does, as words
	sleeperVariable    = "SLOT_TEST_SLEEPER"    // file for its pid
	supervisorVariable = "SLOT_TEST_SUPERVISOR" // its directory
	wordsVariable      = "SLOT_TEST_WORDS"      // what its engine does
)

// The signal for the parent's death belongs to a thread, the main one: an engine that clears it has to run there.
func init() {
	if os.Getenv(fakeVariable) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "trtsim":
		os.Exit(trtsim.Main(os.Args[2:], os.Stdout, os.Stderr))
	case os.Getenv(sleeperVariable) != "":
		sleeper(os.Getenv(sleeperVariable))
	case os.Getenv(fakeVariable) != "":
		fakeEngine(strings.Fields(os.Getenv(fakeVariable)), os.Args[1:])
	case os.Getenv(supervisorVariable) != "":
		supervise(os.Getenv(supervisorVariable))
	default: // More tests run at once than there are cores: those that are parallel wait, and compute next to nothing.
		_ = flag.Set("test.parallel", "8") // -parallel, which is read later, beats it
		goleak.VerifyTestMain(m)
	}
}

// fakeEngine serves the OpenAI API as far as a probe looks. Its words: hang (never listen), crash (exit 3 at once), deaf (ignore
// SIGTERM), orphan=FILE (start a process in a session of its own; its pid goes to FILE), clash=FILE (the first time,
// complain of the port), plain (bind without SO_REUSEADDR), immortal (outlive its parent), chatty (log a lot),
// refuse (answer no request), busy=N (say that it serves N requests, until /busy/M), says=WORDS (log them, with spaces for underscores, and exit 1).
func fakeEngine(words, args []string) {
	does := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		does[k] = v
	}
	has := func(w string) bool { _, ok := does[w]; return ok }
	if has("immortal") {
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
			die(9, err)
		}
	}
	if has("deaf") {
		signal.Ignore(syscall.SIGTERM)
	}
	if has("orphan") {
		startSleeper(does["orphan"])
	}
	if has("chatty") {
		for n := range 200_000 {
			fmt.Printf("line %d of very many, long enough to fill a file of some megabytes in the end\n", n)
		}
	}
	if has("crash") {
		die(3, "loading weights", "\x1b[31mCUDA out of memory\x1b[0m")
	}
	if file := does["clash"]; file != "" {
		if _, err := os.Stat(file); err != nil {
			os.WriteFile(file, nil, 0o600)
			die(1, "OSError: [Errno 98] Address already in use")
		}
	}
	if has("hang") {
		fmt.Println("hanging")
		select {}
	}
	if has("says") {
		die(1, strings.ReplaceAll(does["says"], "_", " "))
	}
	serveFake(listenFake(args, has("plain")), has("refuse"), does["busy"])
}

func die(status int, words ...any) {
	for _, w := range words {
		fmt.Fprintln(os.Stderr, w)
	}
	os.Exit(status)
}

func listenFake(args []string, plain bool) net.Listener {
	if len(args) != 4 || args[0] != "--host" || args[2] != "--port" {
		die(2, "unexpected arguments", args)
	}
	config := net.ListenConfig{}
	if plain {
		config.Control = func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 0) })
		}
	}
	ln, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(args[1], args[3]))
	if err != nil {
		die(1, err)
	}
	return ln
}

func serveFake(ln net.Listener, refuse bool, serves string) {
	var busy atomic.Value
	busy.Store(serves)
	listened := time.Now().UnixNano()
	var answered, counted atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, _ *http.Request) {
		if refuse {
			http.Error(w, "no chat template", http.StatusBadRequest)
			return
		}
		answered.Store(time.Now().UnixNano())
		io.WriteString(w, `{"choices":[{"message":{"content":"hi"}}]}`)
	})
	mux.HandleFunc("GET /busy/{requests}", func(_ http.ResponseWriter, r *http.Request) { busy.Store(r.PathValue("requests")) })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		counted.Add(1)
		if busy := busy.Load().(string); busy != "" {
			fmt.Fprintf(w, "llamacpp:requests_processing %s\n", busy)
		}
	})
	mux.HandleFunc("GET /counted", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, counted.Load()) })
	mux.HandleFunc("GET /listened", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, listened) })
	mux.HandleFunc("GET /answered", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answered.Load()) })
	mux.HandleFunc("GET /env/{name}", func(w http.ResponseWriter, r *http.Request) {
		v, ok := os.LookupEnv(r.PathValue("name"))
		fmt.Fprintf(w, "%t %s", ok, v)
	})
	mux.HandleFunc("GET /environment", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Join(os.Environ(), "\n")) })
	mux.HandleFunc("GET /user", func(w http.ResponseWriter, _ *http.Request) {
		groups, _ := os.Getgroups()
		fmt.Fprint(w, os.Getuid(), os.Getgid(), groups)
	})
	mux.HandleFunc("GET /parent/{file}", func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", os.Getppid(), r.PathValue("file")))
		fmt.Fprintf(w, "%d %v", len(b), err)
	})
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) {
		_, err := os.Stat(r.URL.Query().Get("path"))
		fmt.Fprint(w, err)
	})
	mux.HandleFunc("POST /crash", func(http.ResponseWriter, *http.Request) { die(7, "executor has died") })
	die(1, http.Serve(ln, mux))
}

// startSleeper starts a process that leaves the engine's group, as MPI's daemons do.
func startSleeper(file string) {
	cmd := exec.Command("/proc/self/exe") // wherever it is: the engine's user may not look there
	cmd.Env = append(os.Environ(), sleeperVariable+"="+file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		die(9, err)
	}
	for {
		if _, err := os.Stat(file); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func sleeper(file string) {
	signal.Ignore(syscall.SIGTERM)
	os.WriteFile(file+".new", []byte(strconv.Itoa(os.Getpid())), 0o600)
	os.Rename(file+".new", file)
	select {}
}

func self() string {
	path, err := os.Executable()
	if err != nil {
		die(9, err)
	}
	return path
}

// fake gives a model whose engine is fakeEngine with the words.
func fake(id string, gpus int, words ...string) *fleet.Model {
	return &fleet.Model{
		ID: id, GPUs: gpus, Endpoints: []fleet.Endpoint{fleet.EndpointChat}, MaxConcurrency: 1,
		Engine: fleet.EngineSpec{
			Kind: fleet.EngineOpenAI, Command: []string{self()},
			Env: map[string]string{fakeVariable: "go " + strings.Join(words, " ")},
		},
	}
}

// supervise is a supervisor with one engine. It says when that is ready, and then waits to be killed.
func supervise(dir string) {
	m := fake("m", 1, os.Getenv(wordsVariable))
	s, err := slot.New(slot.Config{ID: "s", GPUs: 1, Dir: dir, Models: []*fleet.Model{m}})
	if err != nil {
		die(9, err)
	}
	go s.Run(context.Background())
	if err := s.Do(context.Background(), launch("i1", "m", 0, 1)); err != nil {
		die(9, err)
	}
	s.Watch(context.Background(), func(o fleet.Observation) {
		for _, i := range o.Instances {
			if i.State == fleet.Ready {
				fmt.Println("ready")
			}
		}
	})
}

// startSupervisor starts one in a process of its own, and returns when its engine is ready.
func startSupervisor(t *testing.T, dir string, words ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(self())
	cmd.Env = append(os.Environ(), supervisorVariable+"="+dir, wordsVariable+"="+strings.Join(words, " "))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("supervisor said %q, %v", line, err)
	}
	return cmd
}
