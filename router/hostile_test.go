package router_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/router"
)

// Bodies that are made to hurt are refused before an engine sees them, and cost the next request nothing.
func TestHostile_Bodies(t *testing.T) {
	w := newWorld(t, setup{tcp: true, router: func(c *router.Config) { c.BodyLimit = 4 << 20 }})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err := io.CopyN(z, zeros{}, 64<<20)
	w.must(err)
	w.must(z.Close())
	deep := strings.Repeat("[", 1<<20)
	for name, tt := range map[string]struct {
		body, encoding string
		status         int
	}{
		"compressed bomb":        {bomb.String(), "gzip", http.StatusUnsupportedMediaType},
		"unnamed bomb":           {bomb.String(), "", http.StatusBadRequest},
		"two encodings":          {bomb.String(), "gzip, gzip", http.StatusUnsupportedMediaType},
		"depth without an end":   {deep, "", http.StatusBadRequest},
		"depth in a field":       {chat(chatModel, `,"metadata":`+deep+strings.Repeat("]", 1<<20)), "", http.StatusBadRequest},
		"objects in objects":     {strings.Repeat(`{"a":`, 1<<18), "", http.StatusBadRequest},
		"no UTF-8 in a key":      {"{\"mod\xffel\":\"" + chatModel + "\"}", "", http.StatusBadRequest},
		"no UTF-8 in the model":  {"{\"model\":\"\xff\xfe\",\"messages\":[]}", "", http.StatusBadRequest},
		"a model twice":          {`{"model":"` + chatModel + `","model":"other","messages":[]}`, "", http.StatusBadRequest},
		"a model twice, escaped": {`{"model":"` + chatModel + `","\u006dodel":"other","messages":[]}`, "", http.StatusBadRequest},
		"NUL":                    {"\x00", "", http.StatusBadRequest},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://router/v1/chat/completions", strings.NewReader(tt.body))
		w.must(err)
		req.Header.Set("Authorization", "Bearer "+w.secret)
		if tt.encoding != "" {
			req.Header.Set("Content-Encoding", tt.encoding)
		}
		resp, err := w.client.Do(req)
		w.must(err)
		text, err := io.ReadAll(resp.Body)
		w.must(err)
		resp.Body.Close()
		if resp.StatusCode != tt.status || !contains(text, `{"error":{`) || len(text) > 4<<10 {
			t.Errorf("%s: got %d and %d bytes %.300q, want %d in OpenAI's shape, and short", name, resp.StatusCode, len(text), text, tt.status)
		}
	}
	w.records(0)
	if a := w.do(call{body: chat(chatModel)}); a.StatusCode != http.StatusOK {
		t.Errorf("got %d %s, want the next request served", a.StatusCode, a.text)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// What one caller hides in a request never answers another's, whatever the proxy between them makes of it: both share its connections to the router.
func TestHostile_SmugglingBehindProxies(t *testing.T) {
	if testing.Short() {
		t.Skip("starts nginx and HAProxy; not in short runs")
	}
	for name, start := range map[string]func(*testing.T, string, string) *exec.Cmd{
		"nginx": nginx, "nginx that takes odd names": oddNames, "haproxy": haproxy, "haproxy that takes what is not valid": invalidTaken,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{tcp: true})
			at := freeAddr(t)
			proxied(t, start(t, at, w.net.addr("router")), at)
			for i, sent := range smuggled(w.secret) {
				attack(t, at, sent)
				for n := range 3 {
					id := fmt.Sprintf("victim-%d-%d", i, n)
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+"/healthz", nil)
					w.must(err)
					req.Header.Set("X-Request-Id", id)
					resp, err := http.DefaultTransport.RoundTrip(req)
					w.must(err)
					text, err := io.ReadAll(resp.Body)
					w.must(err)
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Request-Id") != id || !contains(text, `"ok"`) {
						t.Errorf("behind %.120q: got %d %s %.200q, want the answer to %s", sent, resp.StatusCode, resp.Header.Get("X-Request-Id"), text, id)
					}
				}
			}
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		})
	}
}

// smuggled are requests with another one hidden in them, one for each way in which servers have differed about where a request ends.
func smuggled(secret string) []string {
	const hidden = "GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Request-Id: hidden\r\nX: "
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + secret + "\r\n"
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	end := "0\r\n\r\n" + hidden
	var all []string
	for _, coded := range []string{
		"Transfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
		"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "Transfer-Encoding\r\n: chunked", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked, identity",
		"Transfer-Encoding: \x0bchunked", "Transfer_Encoding: chunked", "X: y\r\n Transfer-Encoding: chunked",
	} {
		all = append(all,
			head+length(len(end))+coded+"\r\n\r\n"+end, // the length in front, the chunks behind
			head+coded+"\r\n"+length(6)+"\r\n"+end)     // the other way around
	}
	return append(all,
		head+length(0)+length(len(hidden))+"\r\n"+hidden,
		head+"Content-Length: 0, 5\r\n\r\n"+hidden,
		head+"Content-Length: +0\r\n\r\n"+hidden,
		head+"Transfer-Encoding: chunked\r\n\r\n0\n\n"+hidden,
		head+"Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n"+hidden,
		head+"Transfer-Encoding: chunked\r\n\r\n00000000000000000\r\n\r\n"+hidden,
		head+"Transfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n0\r\nContent-Length: 5\r\n\r\n"+hidden,
		head+"Transfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n0\r\nX: y\n\r\n"+hidden,
		head+"Transfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n0\r\nX: y\r\n\n"+hidden,
		head+"Transfer-Encoding: chunked\r\n\r\n1;\n\r\nZ\r\n0\r\n\r\n"+hidden,
		head+"Transfer-Encoding: chunked\r\n\r\n1;a\rb\r\nZ\r\n0\r\n\r\n"+hidden,
		"GET /healthz HTTP/1.1\r\nHost: a\r\n"+length(len(hidden))+"\r\n"+hidden,
		"GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"+length(len(hidden))+"\r\n"+hidden,
		"GET /healthz HTTP/1.1\nHost: a\n\n"+hidden,
		"GET http://b/healthz HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Content-Length\r\n"+length(len(hidden))+"\r\n"+hidden)
}

// attack sends bytes, and leaves once nothing comes any more.
func attack(t *testing.T, addr, sent string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, sent)
	_ = c.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
	_, _ = io.Copy(io.Discard, c)
}

// freeAddr gives an address that nobody listens on, of a loopback network that other tests do not use where there is one.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// proxied runs a proxy until the test ends.
func proxied(t *testing.T, cmd *exec.Cmd, at string) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the proxy does not listen: %v", err)
		}
	}
}

func nginx(t *testing.T, at, to string) *exec.Cmd { return nginxWith(t, at, to, "") }

func oddNames(t *testing.T, at, to string) *exec.Cmd {
	return nginxWith(t, at, to, "ignore_invalid_headers off;\n    underscores_in_headers on;")
}

func nginxWith(t *testing.T, at, to, more string) *exec.Cmd {
	dir, user := t.TempDir(), ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%[1]s;\n", kind, dir)
	}
	file := config(t, dir, fmt.Sprintf(`%s
daemon off;
master_process on;
worker_processes 1;
pid %s/nginx.pid;
error_log %[2]s/error.log;
events {}
http {
  access_log off;
  %s
  upstream pilotlight {
    server %s;
    keepalive 1;
  }
  server {
    listen %s;
    %s
    location / {
      proxy_pass http://pilotlight;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_buffering off;
    }
  }
}
`, user, dir, temp.String(), to, at, more))
	return exec.Command(installed(t, "nginx"), "-e", filepath.Join(dir, "error.log"), "-c", file)
}

func haproxy(t *testing.T, at, to string) *exec.Cmd { return haproxyWith(t, at, to, "") }

func invalidTaken(t *testing.T, at, to string) *exec.Cmd {
	return haproxyWith(t, at, to, "option accept-invalid-http-request")
}

func haproxyWith(t *testing.T, at, to, more string) *exec.Cmd {
	file := config(t, t.TempDir(), fmt.Sprintf(`global
  maxconn 200
defaults
  mode http
  timeout connect 10s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend callers
  bind %s
  %s
  default_backend pilotlight
backend pilotlight
  server one %s
`, at, more, to))
	return exec.Command(installed(t, "haproxy"), "-db", "-f", file)
}

func config(t *testing.T, dir, text string) string {
	t.Helper()
	file := filepath.Join(dir, "proxy.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// installed finds a program of Debian's package of the same name.
func installed(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
		t.Fatalf("%s is not installed; apt-get install it", name)
	}
	t.Skipf("%s is not installed; apt-get install it", name)
	return ""
}
