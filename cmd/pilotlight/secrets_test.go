//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What engines could read of their supervisor holds no key: not the environment it was started with, not its command line, no file.
func TestSlot_ItsKeyIsNowhereToBeRead(t *testing.T) {
	s := startSlot(t, t.TempDir(), "127.0.0.1:0")
	for _, file := range []string{"environ", "cmdline"} {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/" + file)
		if err != nil || strings.Contains(string(text), testSlotKey) {
			t.Errorf("%s: got %v, %q; want no key", file, err, text)
		}
	}
	at := slices.Index(s.cmd.Args, "--secrets") + 1
	if _, err := os.Stat(s.cmd.Args[at]); !os.IsNotExist(err) {
		t.Errorf("the file of the secrets: got %v, want it removed", err)
	}
}

func TestReadVariables(t *testing.T) {
	file := filepath.Join(t.TempDir(), "variables")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# of the pool\nHF_TOKEN=\"a\\\"b=\\u003c\\n\"\n\n  PLAIN=as it is=x\nEMPTY=\n")
	got, err := readVariables(file)
	if diff := cmp.Diff([]string{"HF_TOKEN=a\"b=<\n", "PLAIN=as it is=x", "EMPTY="}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for text, want := range map[string]string{"A=1\nsecret": ":2: this is no line NAME=value", "1A=secret": ":1:", `A="secret`: "no JSON string"} {
		write(text)
		if _, err := readVariables(file); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q and not the secret", text, err, want)
		}
	}
}

// dev works for anybody. Where it is not root's, its engines are its own user's, and the kernel is told to hide its environment from them: it holds, for example,
// the tokens of whoever has typed the command.
func TestDev_OfAUserWithoutRights(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		required(t, "only root can become somebody else: run the tests as root, too")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "nobodys-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(data, 0o700), os.Chown(data, nobody, nobody)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "pilotlight")
	copyProgram(t, program)
	cmd := exec.Command(program, "dev", "--json", "--api-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", data)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asProgram+"=1", "NOMAD_TOKEN=a secret")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	s, err := beginDev(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	info, err := os.Stat("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/environ")
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("got %v, %+v; want the environment to be root's alone", err, info)
	}
	if a, err := s.chat(t.Context(), "meta-llama/Meta-Llama-3-8B-Instruct", false); err != nil || a.status != 200 {
		t.Errorf("got %v, %v; want an answer", a, err)
	}
}

// The engines of root's dev are nobody's, though the program and the data lie where only root can look; or whose the config says.
func TestDev_OfRoot(t *testing.T) {
	notQuick(t)
	if os.Geteuid() != 0 {
		required(t, "only root's engines are somebody else's: run the tests as root, too")
	}
	for user, uid := range map[string]string{"": "65534", "same": "0"} {
		t.Run(user, func(t *testing.T) {
			s := startDev(t, t.TempDir(), "--config", writeConfig(t, fmt.Sprintf("pool \"local\" {\n engine_user = %q\n}\n", user)))
			const model = "meta-llama/Meta-Llama-3-8B-Instruct"
			if a, err := s.chat(t.Context(), model, false); err != nil || a.status != 200 {
				t.Fatalf("got %v, %v; want an answer", a, err)
			}
			files, err := filepath.Glob(filepath.Join(s.DataDir, "engines", "*.pid"))
			if err != nil || len(files) == 0 {
				t.Fatalf("got %v, %v; want the process files of engines", files, err)
			}
			text, err := os.ReadFile(files[0])
			var record struct{ PID int }
			if err != nil || json.Unmarshal(text, &record) != nil {
				t.Fatalf("got %q, %v; want a process file", text, err)
			}
			status, err := os.ReadFile("/proc/" + strconv.Itoa(record.PID) + "/status")
			if want := fmt.Sprintf("\nUid:\t%[1]s\t%[1]s\t%[1]s\t%[1]s\n", uid); err != nil || !strings.Contains(string(status), want) {
				t.Errorf("got %v, %s; want the engine to be of user %s", err, status, uid)
			}
		})
	}
}

// What the engines' user cannot read is told at the start, not by an engine that fails.
func TestDev_NamesWhatTheEnginesUserCannotRead(t *testing.T) {
	if os.Geteuid() != 0 {
		required(t, "only root's engines are somebody else's: run the tests as root, too")
	}
	weights := t.TempDir() // below a directory of mode 0700
	cfg := writeConfig(t, fmt.Sprintf("model \"local/m\" {\n gpus = 0\n engine \"openai\" {\n command = [\"sh\"]\n weights = %q\n }\n}\n", weights))
	cmd := exec.Command(os.Args[0], "dev", "--api-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", t.TempDir(), "--config", cfg)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var out strings.Builder
	cmd.Stderr = &out
	if status, err := startAndWait(t, cmd); err != nil || status != 1 || !strings.Contains(out.String(), weights) || !strings.Contains(out.String(), `"nobody"`) {
		t.Errorf("got %d, %v, %q; want status 1, and the weights and the user named", status, err, out.String())
	}
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, from); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
