package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// devsKey is where a script's running servers are: data directory -> server.
type devsKey struct{}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Values[devsKey{}] = map[string]*devServer{}
			env.Setenv("GORACE", "atexit_sleep_ms=0") // under -race each of the many processes would end a second later
			env.Setenv("GOGC", "400")                 // most of the many processes end before they have made any garbage to speak of
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			traces, err := filepath.Abs("../../benchmarks/traces")
			env.Setenv("TRACES", traces)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"startdev":    scriptStartDev,
			"stopdev":     scriptStopDev,
			"http":        scriptHTTP,
			"mode":        scriptMode,
			"awaitstatus": scriptAwaitStatus,
			"within":      scriptWithin,
			"freeport":    scriptFreePort,
			"expand":      scriptExpand,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// scriptStartDev starts dev on free ports in the default data directory: startdev [flag...]. It sets API, API_ADDR,
// ADMIN_ADDR, TOKEN and PILOTLIGHT_ADDR.
func scriptStartDev(ts *testscript.TestScript, neg bool, args []string) {
	dir := filepath.Join(ts.Getenv("XDG_DATA_HOME"), "pilotlight")
	for i, a := range args {
		if strings.HasSuffix(a, ".hcl") {
			args[i] = ts.MkAbs(a)
		}
	}
	s, err := launchDev(dir, args...)
	if (err != nil) != neg {
		ts.Fatalf("startdev: got %v", err)
	}
	if neg {
		return
	}
	devs := ts.Value(devsKey{}).(map[string]*devServer)
	devs[dir] = s
	ts.Defer(func() {
		s.kill()
		ts.Logf("log of dev:\n%s", s.stderr)
	})
	ts.Setenv("API", s.API)
	ts.Setenv("API_ADDR", strings.TrimSuffix(strings.TrimPrefix(s.API, "http://"), "/v1"))
	ts.Setenv("ADMIN_ADDR", strings.TrimPrefix(s.Admin, "http://"))
	ts.Setenv("TOKEN", s.Token)
	ts.Setenv("PILOTLIGHT_ADDR", s.Admin)
}

// scriptStopDev ends the server of startdev: stopdev (by SIGINT; it must exit 0) or stopdev kill (by SIGKILL).
func scriptStopDev(ts *testscript.TestScript, neg bool, args []string) {
	dir := filepath.Join(ts.Getenv("XDG_DATA_HOME"), "pilotlight")
	s := ts.Value(devsKey{}).(map[string]*devServer)[dir]
	if slices.Contains(args, "kill") {
		s.kill()
		return
	}
	if err := s.signal(os.Interrupt); err != nil {
		ts.Fatalf("stopdev: got %v, want exit status 0\n%s", err, s.stderr)
	}
}

// scriptHTTP sends a request and prints status, headers and body: http METHOD URL [TOKEN [BODY]].
func scriptHTTP(ts *testscript.TestScript, _ bool, args []string) {
	args = append(args, "", "", "", "")
	r, err := http.NewRequest(args[0], args[1], strings.NewReader(args[3]))
	ts.Check(err)
	if args[2] != "" {
		r.Header.Set("Authorization", "Bearer "+args[2])
	}
	if args[3] != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer response.Body.Close()
	ts.Check(response.Write(ts.Stdout()))
}

// scriptAwaitStatus asks until it is answered with a status: awaitstatus STATUS URL.
func scriptAwaitStatus(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(20 * time.Second); ; {
		response, err := http.Get(args[1])
		if err == nil {
			response.Body.Close()
			if strconv.Itoa(response.StatusCode) == args[0] {
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: after 20 s still %v, %v", args[1], response, err)
		}
		time.Sleep(20 * time.Millisecond) // a poll of another process, bounded by the deadline
	}
}

// scriptMode checks the permissions of a file: mode 0600 FILE.
func scriptMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s: got mode %s, want %s", args[1], got, args[0])
	}
}

// scriptWithin repeats a command until its stdout matches: within 5s REGEXP COMMAND [ARG...].
func scriptWithin(ts *testscript.TestScript, _ bool, args []string) {
	most, err := time.ParseDuration(args[0])
	ts.Check(err)
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	for deadline := time.Now().Add(most); ; {
		err := ts.Exec(args[2], args[3:]...)
		out := ts.ReadFile("stdout")
		if err == nil && pattern.MatchString(out) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("after %v still no match for %q in %q (error %v)", most, args[1], out, err)
		}
		time.Sleep(20 * time.Millisecond) // a poll of another process, bounded by the deadline
	}
}

// scriptFreePort sets a variable to an address of this machine that nobody listens on: freeport NAME.
func scriptFreePort(ts *testscript.TestScript, _ bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], ln.Addr().String())
	ts.Check(ln.Close())
}

// scriptExpand replaces variables in a file: expand FILE.
func scriptExpand(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
