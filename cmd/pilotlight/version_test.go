package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestVersion_OfGoInstall installs a release as anybody does, from a module proxy of this test's own, and asks it for its version.
func TestVersion_OfGoInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole program anew")
	}
	const module = "github.com/pilotlight-io/pilotlight"
	version := fmt.Sprintf("v0.0.%d-test", time.Now().UnixNano()) // what a run that was killed has left in the cache is of another one
	dir := t.TempDir()
	at := filepath.Join(dir, "proxy", module, "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	root := must(filepath.Abs("../.."))
	for name, content := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".info": []byte(`{"Version": "` + version + `"}`), version + ".mod": must(os.ReadFile(filepath.Join(root, "go.mod"))),
	} {
		if err := os.WriteFile(filepath.Join(at, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := zipModule(filepath.Join(at, version+".zip"), root, module+"@"+version); err != nil {
		t.Fatal(err)
	}
	cache := strings.TrimSpace(string(must(exec.Command("go", "env", "GOMODCACHE").Output())))
	t.Cleanup(func() { // what was unpacked there
		for _, left := range []string{module + "@" + version, "cache/download/" + module} {
			if err := os.RemoveAll(filepath.Join(cache, left)); err != nil {
				t.Error(err)
			}
		}
	})
	install := exec.Command("go", "install", "-modcacherw", module+"/cmd/pilotlight@"+version)
	install.Dir = dir // of no module
	install.Env = append(os.Environ(), "GOPROXY=file://"+filepath.Join(dir, "proxy")+",file://"+filepath.Join(cache, "cache/download"), "GONOSUMDB=*", "GOSUMDB=off", "GOFLAGS=", "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install: %v\n%s", err, out)
	}
	out, err := exec.Command(filepath.Join(dir, "pilotlight"), "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "pilotlight "+version+" go1.") {
		t.Errorf("got %q, %v, want the version %s", out, err, version)
	}
}

// zipModule packs the files of the module at root, without modules inside of it, as the proxies of Go have them.
func zipModule(to, root, prefix string) (err error) {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	w := zip.NewWriter(f)
	defer func() { err = errors.Join(err, w.Close(), f.Close()) }()
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, inner := os.Stat(filepath.Join(path, "go.mod"))
			if d.Name() == ".git" || name != "." && inner == nil {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || d.Name() == ".git" {
			return nil
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := w.Create(prefix + "/" + filepath.ToSlash(name))
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		return err
	})
}
