package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMan_PagesAreSound has groff look for mistakes in every page.
func TestMan_PagesAreSound(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		required(t, "groff is not on PATH; install groff-base")
	}
	pages, err := filepath.Glob(writeManual(t) + "/*.1")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages (%v)", err)
	}
	out, err := exec.Command(groff, append([]string{"-man", "-Tutf8", "-ww", "-z", "-rCHECKSTYLE=2"}, pages...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}
