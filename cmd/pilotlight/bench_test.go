package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The first signal ends the sending, and what was measured until then is reported.
func TestBench_InterruptedLoadReports(t *testing.T) {
	notQuick(t)
	s := startDev(t, t.TempDir())
	s.mustChat(t, benchModel, false)
	cmd := exec.Command(os.Args[0], "bench", "load", "--url", s.API, "--model", benchModel, "--rate", "50", "--for", "1h", "--output-tokens", "4", "--json")
	cmd.Env = append(os.Environ(), asProgram+"=1", "PILOTLIGHT_TOKEN="+s.Token)
	var stdout bytes.Buffer
	stderr := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := s.admin(t)
	eventually(t, 20*time.Second, func() string {
		page, err := client.Records(t.Context(), devOrg, "", 10)
		if err != nil {
			return err.Error()
		}
		if len(page.Records) < 5 {
			return "nothing was sent"
		}
		return ""
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit status 0\n%s", err, stderr)
	}
	if out := stdout.String(); !strings.Contains(out, `"requests": `) || strings.Contains(out, `"requests": 0`) || !strings.Contains(out, `"interrupted": 0`) {
		t.Errorf("got %s, want requests, and none of them interrupted", out)
	}
}

const benchModel = "meta-llama/Meta-Llama-3.1-8B-Instruct"
