package main

import (
	"crypto/tls"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/certs/certstest"
)

// tlsServer is a server of which both listeners speak TLS, and whose admin listener wants certificates.
type tlsServer struct {
	*devServer
	t      *testing.T
	ca     *certstest.CA
	public certstest.Pair // of the public listener
	caller certstest.Pair // that the admin listener lets in
}

func startTLS(t *testing.T) *tlsServer {
	s := &tlsServer{t: t, ca: certstest.New(t)}
	s.public, s.caller = s.ca.Pair(), s.ca.Pair()
	operators := s.ca.Pair()
	file := writeConfig(t, `
api {
  tls {
    cert = "`+s.public.Cert+`"
    key  = "`+s.public.Key+`"
  }
}
admin {
  tls {
    cert      = "`+operators.Cert+`"
    key       = "`+operators.Key+`"
    client_ca = "`+s.ca.File+`"
  }
}
`)
	s.devServer = startDev(t, t.TempDir(), "--sim-speed", "500", "--config", file)
	if !strings.HasPrefix(s.API, "https://") || !strings.HasPrefix(s.Admin, "https://") || !strings.Contains(s.Curl, s.API) {
		t.Fatalf("got %s, %s and %s, want https", s.API, s.Admin, s.Curl)
	}
	return s
}

// serial is that of the certificate that the public listener shows.
func (s *tlsServer) serial() string {
	s.t.Helper()
	c, err := tls.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(s.API, "https://"), "/v1"), s.ca.Trust())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// command runs pilotlight against the server.
func (s *tlsServer) command(env []string, args ...string) (string, error) {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(append(os.Environ(), asProgram+"=1", addrVariable+"="+s.Admin, adminTokenVariable+"=", "XDG_DATA_HOME="+s.t.TempDir()), env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// replace puts files in the place of the public listener's, and tells the server.
func (s *tlsServer) replace(cert, key string) {
	s.t.Helper()
	for from, to := range map[string]string{cert: s.public.Cert, key: s.public.Key} {
		text, err := os.ReadFile(from)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
}

func TestTLS_StockClients(t *testing.T) {
	s := startTLS(t)
	t.Run("curl", func(t *testing.T) {
		curl, err := exec.LookPath("curl")
		if err != nil {
			required(t, "curl is not installed")
		}
		for _, flags := range [][]string{{"--tlsv1.3"}, {"--tls-max", "1.2"}, {"--http2"}} {
			args := append(flags, "-sS", "-N", "--cacert", s.ca.File, s.API+"/chat/completions", "-H", "Authorization: Bearer "+s.Token)
			out, err := exec.Command(curl, append(args, "-d", `{"model":"`+greeted+`","stream":true,"messages":[{"role":"user","content":"hi"}]}`)...).CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), "data: [DONE]\n\n") {
				t.Errorf("%s: got %v, %s, want a whole stream", flags, err, out)
			}
		}
	})
	t.Run("openai", func(t *testing.T) {
		python := exec.Command(interpreter(t, "openai", "openai_python.py"), "-c", `
import openai, sys
c = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2])
text = "".join(e.choices[0].delta.content or "" for e in c.chat.completions.create(model=sys.argv[3], stream=True, messages=[{"role": "user", "content": "hi"}]) if e.choices)
assert text and c.models.list().data, text
`, s.API, s.Token, greeted)
		python.Env = append(os.Environ(), "SSL_CERT_FILE="+s.ca.File)
		if out, err := python.CombinedOutput(); err != nil {
			t.Errorf("got %v: %s", err, out)
		}
	})
}

func TestTLS_CommandsAndCertificatesOfCallers(t *testing.T) {
	s := startTLS(t)
	token := "--data-dir=" + s.DataDir
	trust, shown := caVariable+"="+s.ca.File, []string{clientCertVariable + "=" + s.caller.Cert, clientKeyVariable + "=" + s.caller.Key}
	for name, tt := range map[string]struct {
		env  []string
		want string
	}{
		"all":            {append([]string{trust}, shown...), greeted},
		"no trust":       {shown, "certificate"},
		"no certificate": {[]string{trust}, "certificate"},
		"half a pair":    {append([]string{trust}, shown[0]), clientKeyVariable},
	} {
		out, err := s.command(tt.env, "model", "list", token)
		if (err == nil) != (name == "all") || !strings.Contains(out, tt.want) {
			t.Errorf("%s: got %v, %s, want %q", name, err, out, tt.want)
		}
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: s.ca.Trust(s.caller), DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.PostForm(s.Admin+"/signin", map[string][]string{"token": {s.rootToken()}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if cookies := resp.Cookies(); len(cookies) != 1 || !cookies[0].Secure {
		t.Errorf("signing in: got %s and cookies %v, want one that is never sent without TLS", resp.Status, cookies)
	}
}

func (s *tlsServer) rootToken() string {
	s.t.Helper()
	token, err := readSecret(filepath.Join(s.DataDir, adminTokenFile))
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func TestTLS_CertificatesAreReplacedWithoutARestart(t *testing.T) {
	s := startTLS(t)
	first, next := s.serial(), s.ca.Pair()
	s.replace(next.Cert, next.Cert) // a certificate is no key
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(s.stderr.String(), "was not taken") {
		if time.Now().After(deadline) {
			t.Fatal("the log does not say that the certificate was not taken")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := s.serial(); got != first {
		t.Errorf("got another certificate, want the former until the new one is whole")
	}
	s.replace(next.Cert, next.Key)
	for s.serial() == first {
		if time.Now().After(deadline) {
			t.Fatal("got the former certificate, want the new one")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
