package certs_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/certs"
	"github.com/pilotlight-io/pilotlight/internal/certs/certstest"
)

// shake makes one handshake, and gives what the caller saw.
func shake(listener, caller *tls.Config) (tls.ConnectionState, error) {
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer near.Close()
		s := tls.Server(near, listener)
		if s.Handshake() == nil {
			_, _ = s.Write([]byte("x"))
		}
	}()
	c := tls.Client(far, caller)
	_, err := c.Read(make([]byte, 1)) // in TLS 1.3 the caller learns that it was refused only then
	_ = far.Close()
	<-served
	return c.ConnectionState(), err
}

// serial is what a caller sees of the certificate of a listener that it trusts.
func serial(t *testing.T, listener *tls.Config, ca *certstest.CA) string {
	t.Helper()
	seen, err := shake(listener, ca.Trust())
	if err != nil {
		t.Fatal(err)
	}
	return seen.PeerCertificates[0].SerialNumber.String()
}

func move(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}

func TestListener_TakesAChangedCertificateAndKeepsTheFormerWhereItCannot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := certstest.New(t)
		files, second := ca.Pair(), ca.Pair()
		var log bytes.Buffer
		c, err := certs.Open(certs.Config{Cert: files.Cert, Key: files.Key, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		listener := c.Listener()
		first := serial(t, listener, ca)

		move(t, second.Cert, files.Cert) // the key is still the former's
		time.Sleep(2 * time.Second)
		for range 3 {
			if got := serial(t, listener, ca); got != first {
				t.Errorf("got %s, want the former %s: the new one has no key yet", got, first)
			}
			time.Sleep(2 * time.Second)
		}
		if got := strings.Count(log.String(), "was not taken"); got != 1 {
			t.Errorf("said %d times that it was not taken, want once:\n%s", got, log.String())
		}
		if err := c.Reload(); err == nil || !strings.Contains(err.Error(), files.Key) {
			t.Errorf("got %v, want an error that names the key", err)
		}

		move(t, second.Key, files.Key)
		time.Sleep(2 * time.Second)
		taken := serial(t, listener, ca)
		if taken == first {
			t.Error("got the former certificate, want the new one")
		}

		if err := os.Chmod(files.Key, 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if got := serial(t, listener, ca); got != taken || !strings.Contains(log.String(), "mode 0644") {
			t.Errorf("got %s, want %s, and a word on the key that others may read:\n%s", got, taken, log.String())
		}
	})
}

func TestOpen_RefusesWhatCannotBeUsed(t *testing.T) {
	ca := certstest.New(t)
	good, other := ca.Pair(), ca.Pair()
	ended := ca.Issue(time.Now().Add(-time.Hour))
	open := ca.Pair()
	if err := os.Chmod(open.Key, 0o640); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // a key of root's may be its group's to read
		if err := os.Chmod(open.Key, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "key.pem")
	if err := os.Symlink(good.Key, link); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		c    certs.Config
		want string // "" = it can be used
	}{
		"good":          {certs.Config{Cert: good.Cert, Key: good.Key}, ""},
		"a link":        {certs.Config{Cert: good.Cert, Key: link}, ""},
		"with a CA":     {certs.Config{Cert: good.Cert, Key: good.Key, CA: ca.File}, ""},
		"another's key": {certs.Config{Cert: good.Cert, Key: other.Key}, "does not match"},
		"no key":        {certs.Config{Cert: good.Cert, Key: good.Key + "x"}, "no such file"},
		"no cert":       {certs.Config{Cert: good.Cert + "x", Key: good.Key}, "no such file"},
		"ended":         {certs.Config{Cert: ended.Cert, Key: ended.Key}, "has ended at"},
		"open key":      {certs.Config{Cert: open.Cert, Key: open.Key}, "can be read or written by others"},
		"no CA in it":   {certs.Config{Cert: good.Cert, Key: good.Key, CA: good.Key}, "holds no certificate of a CA"},
	} {
		_, err := certs.Open(tt.c)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestCA_WhoShowsNoCertificateOfItIsRefused(t *testing.T) {
	ca, stranger := certstest.New(t), certstest.New(t)
	files, own, foreign := ca.Pair(), ca.Pair(), stranger.Pair()
	c, err := certs.Open(certs.Config{Cert: files.Cert, Key: files.Key, CA: ca.File})
	if err != nil {
		t.Fatal(err)
	}
	listener := c.Listener()
	if _, err := shake(listener, ca.Trust()); err == nil {
		t.Error("got in without a certificate")
	}
	if _, err := shake(listener, ca.Trust(foreign)); err == nil {
		t.Error("got in with a certificate of another CA")
	}
	if _, err := shake(listener, ca.Trust(own)); err != nil {
		t.Errorf("got %v, want a certificate of the CA let in", err)
	}
	caller := c.Caller().Clone()
	caller.ServerName = "localhost"
	if _, err := shake(listener, caller); err != nil {
		t.Errorf("got %v, want a caller of the same files let in", err)
	}
}

func TestVersions_NoneBefore12(t *testing.T) {
	ca := certstest.New(t)
	files := ca.Pair()
	c, err := certs.Open(certs.Config{Cert: files.Cert, Key: files.Key})
	if err != nil {
		t.Fatal(err)
	}
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		caller := ca.Trust()
		caller.MinVersion, caller.MaxVersion, caller.NextProtos = version, version, []string{"h2", "http/1.1"}
		seen, err := shake(c.Listener(), caller)
		if (err == nil) != ok {
			t.Errorf("%s: got %v, want it taken: %v", tls.VersionName(version), err, ok)
		}
		if ok && seen.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%s: got %q, want http/1.1", tls.VersionName(version), seen.NegotiatedProtocol)
		}
	}
}

func TestCallerConfig(t *testing.T) {
	ca := certstest.New(t)
	files, own := ca.Pair(), ca.Pair()
	c, err := certs.Open(certs.Config{Cert: files.Cert, Key: files.Key, CA: ca.File})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		ca, cert, key string
		in            bool
	}{
		"nothing": {}, "trust alone": {ca: ca.File}, "no trust": {cert: own.Cert, key: own.Key}, "both": {ca.File, own.Cert, own.Key, true},
	} {
		caller, err := certs.CallerConfig(tt.ca, tt.cert, tt.key)
		if err != nil {
			t.Fatal(err)
		}
		caller.ServerName = "localhost"
		if _, err := shake(c.Listener(), caller); (err == nil) != tt.in {
			t.Errorf("%s: got %v, want let in: %v", name, err, tt.in)
		}
	}
	if _, err := certs.CallerConfig("", own.Cert, ""); err == nil {
		t.Error("a certificate without a key was taken")
	}
}
