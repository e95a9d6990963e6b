package secret_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment is one that a test sets itself.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFromEnvironment_FindsTheToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for _, row := range []struct{ name, text, want string }{
		{"alone", "abc\n", "abc"},
		{"environment file", "# of ours\nOTHER=1\nexport X=\"abc\"\n", "abc"},
		{"another's lines", "Y=1\n", "Y=1"},
	} {
		write(t, file, row.text)
		token, err := secret.FromEnvironment(environment("X", "variable", "X_FILE", file), "X")
		if err != nil || token.Value() != row.want {
			t.Errorf("%s: got %q, %v, want %q", row.name, token.Value(), err, row.want)
		}
	}
	token, err := secret.FromEnvironment(environment("X", "variable"), "X")
	if err != nil || token.Value() != "variable" {
		t.Errorf("without a file: got %q, %v, want the variable's", token.Value(), err)
	}
	if another, err := token.Refresh("variable"); another || err != nil {
		t.Errorf("a variable has changed: %v, %v", another, err)
	}
	if text := fmt.Sprintf("%v %s", token, token); strings.Contains(text, "variable") {
		t.Errorf("the token is in %q", text)
	}
	if _, err := secret.FromEnvironment(environment("X_FILE", file+"-none"), "X"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "X_FILE") {
		t.Errorf("no such file: got %v, want that X_FILE names none", err)
	}
	write(t, file, " \n")
	if _, err := secret.FromEnvironment(environment("X_FILE", file), "X"); !errors.Is(err, secret.ErrEmpty) {
		t.Errorf("an empty file: got %v, want %v", err, secret.ErrEmpty)
	}
}

func TestRefresh_ReadsOnceASecond(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	synctest.Test(t, func(t *testing.T) {
		write(t, file, "one")
		token, err := secret.FromEnvironment(environment("X_FILE", file), "X")
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, "two")
		if another, err := token.Refresh("one"); another || err != nil {
			t.Errorf("within the second: got %v, %v, want no reading", another, err)
		}
		time.Sleep(time.Second)
		if another, err := token.Refresh("one"); !another || err != nil || token.Value() != "two" {
			t.Errorf("after it: got %v, %v and %q, want two", another, err, token.Value())
		}
		if another, err := token.Refresh("one"); !another || err != nil {
			t.Errorf("the next who was refused: got %v, %v, want another token at once", another, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if another, err := token.Refresh("two"); another || !errors.Is(err, fs.ErrNotExist) || token.Value() != "two" {
			t.Errorf("without the file: got %v, %v and %q, want that it is missing", another, err, token.Value())
		}
	})
}

func TestTransport_RepeatsOnceWithAnotherToken(t *testing.T) {
	var good atomic.Value
	var asked atomic.Int32
	good.Store("one")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Token") != good.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Write(body)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, "one")
	token, err := secret.FromEnvironment(environment("X_FILE", file), "X")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &secret.Transport{Base: &http.Transport{}, Header: "X-Token", Token: token}}
	defer client.CloseIdleConnections()
	post := func() (int, string) {
		t.Helper()
		resp, err := client.Post(server.URL, "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if status, body := post(); status != http.StatusOK || body != "hello" {
		t.Errorf("got %d %q, want hello", status, body)
	}
	good.Store("two")
	write(t, file, "two")
	for deadline := time.Now().Add(5 * time.Second); ; { // the file was read less than a second ago
		status, body := post()
		if status == http.StatusOK && body == "hello" {
			break
		}
		if status != http.StatusForbidden || time.Now().After(deadline) {
			t.Fatalf("got %d %q, want the token to be replaced", status, body)
		}
		time.Sleep(50 * time.Millisecond)
	}
	good.Store("three")
	time.Sleep(time.Second)
	before := asked.Load()
	if status, _ := post(); status != http.StatusForbidden || asked.Load() != before+1 {
		t.Errorf("with the same token in the file: got %d after %d calls, want one that is refused", status, asked.Load()-before)
	}
}
