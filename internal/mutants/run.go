package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// ErrSurvived says that the test of a mutant passed: it does not notice that the rule is broken.
var ErrSurvived = errors.New("nobody noticed")

// Run plays the mutant's test against the broken code. Nil = the test failed, as it must. ErrSurvived = it passed. Any other error is about the mutant itself: its
// patch no longer applies, it does not compile, or there is no such test.
func (m *Mutant) Run(ctx context.Context, root string) error {
	out, stderr, err := m.play(ctx, root)
	if err != nil {
		return err
	}
	return m.judge(out, stderr)
}

// play runs the test, and gives what go test -json says, and what it says beside.
func (m *Mutant) play(ctx context.Context, root string) (said []byte, stderr string, err error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.writeOverlay(root, dir)
	if err != nil {
		return nil, "", fmt.Errorf("mutant %s: %w", m.Path, err)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-vet=off", "-count=1", "-overlay", overlay, "-run", m.pattern(), m.Package)
	cmd.Dir = root
	cmd.Env = append(append(os.Environ(), "PILOTLIGHT_FAULTS_SHRINK=off"), m.Env...) // the shortest history of a fault that we have planted interests nobody
	var beside bytes.Buffer
	cmd.Stderr = &beside
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, "", err
	}
	return out, beside.String(), nil
}

// writeOverlay writes the changed files into dir, and beside them what go test needs to take them for the real ones.
func (m *Mutant) writeOverlay(root, dir string) (string, error) {
	changed, err := m.apply(root)
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for file, text := range changed {
		to := filepath.Join(dir, fmt.Sprintf("%d_%s", len(replace), filepath.Base(file)))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(abs, file)] = to
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// pattern matches the test alone, part by part.
func (m *Mutant) pattern() string {
	parts := strings.Split(m.Test, "/")
	for k := range parts {
		parts[k] = "^" + regexp.QuoteMeta(parts[k]) + "$"
	}
	return strings.Join(parts, "/")
}

// judge reads what go test -json says.
func (m *Mutant) judge(out []byte, stderr string) error {
	var talk strings.Builder
	passed := false
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var e struct{ Action, Test, Output string }
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("mutant %s: reading what go test says: %w", m.Path, err)
		}
		talk.WriteString(e.Output)
		switch {
		case e.Action == "build-fail":
			return fmt.Errorf("mutant %s does not compile:\n%s", m.Path, talk.String())
		case e.Test == m.Test && e.Action == "fail":
			return nil
		case e.Test == m.Test && e.Action == "pass":
			passed = true
		}
	}
	if !passed {
		return fmt.Errorf("mutant %s: %s has no test %s that runs:\n%s%s", m.Path, m.Package, m.Test, talk.String(), stderr)
	}
	return fmt.Errorf("mutant %s (%s): %s %s passes: %w", m.Path, m.Rule, m.Package, m.Test, ErrSurvived)
}
