// Package certs holds the certificate of a listener, or of whoever calls one, as its files have it now.
//
// It promises that changed files are taken within a second of the next handshake, without a restart and without the end of any connection; that what
// cannot be used is never taken: the former certificate stays, and the log says why, once; and that a private key which others may read is refused.
// It speaks TLS 1.2 and later, and HTTP/1.1 alone. It never makes a certificate or a key, but of a key that both sides know (ByKey).
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/private"
)

// lookEvery is how often files are looked at, at most.
const lookEvery = time.Second

// soon is how long before a certificate ends its files are warned of when they are read.
const soon = 7 * 24 * time.Hour

// Config is what Open needs. Cert and Key are required.
type Config struct {
	Cert string       // file of the certificate in PEM, then of those between it and the CA
	Key  string       // file of its private key in PEM
	CA   string       // file of CAs in PEM that the other side's certificate has to be of; "" = a listener asks for none, and a caller trusts the system's
	Log  *slog.Logger // nil = discard
}

// Certs is one certificate with its key. It is safe for concurrent use.
type Certs struct {
	c       Config
	looked  atomic.Int64 // when the files were last looked at, in nanoseconds
	reading sync.Mutex   // held while they are read; guards tried
	tried   states       // of the files when they were last read, whether or not they could be used
	held    atomic.Pointer[held]
}

// held is what the files held when they could be used last.
type held struct {
	listen, call *tls.Config
}

// Open reads the files.
func Open(c Config) (*Certs, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Certs{c: c}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Listener gives the config of a listener. Each handshake has the certificate as the files have it then.
func (s *Certs) Listener() *tls.Config {
	first := s.held.Load().listen.Clone()
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.now().listen, nil }
	return first
}

// Caller gives the config for one connection to a listener, as the files have it now. It is not to be changed, but cloned.
func (s *Certs) Caller() *tls.Config { return s.now().call }

// Own gives the config for one connection of this process to its own listener, under whatever name: the certificate has to be the listener's own.
func (s *Certs) Own() *tls.Config {
	own := s.Caller().Clone()
	own.InsecureSkipVerify = true // of the name and the CA: VerifyConnection compares the certificate itself
	own.VerifyConnection = func(seen tls.ConnectionState) error {
		if !seen.PeerCertificates[0].Equal(s.now().call.Certificates[0].Leaf) {
			return errors.New("another server has answered at this server's address")
		}
		return nil
	}
	return own
}

// Reload reads the files at once. What cannot be used is an error, and the former stays.
func (s *Certs) Reload() error {
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.read()
}

// now gives what the files hold, looked at within the last second.
func (s *Certs) now() *held {
	at := time.Now().UnixNano()
	if at-s.looked.Load() < int64(lookEvery) || !s.reading.TryLock() {
		return s.held.Load()
	}
	defer s.reading.Unlock()
	s.looked.Store(at)
	if s.states() != s.tried {
		if err := s.read(); err != nil {
			s.c.Log.Error("a changed certificate was not taken; the former goes on", "file", s.c.Cert, "reason", err)
		}
	}
	return s.held.Load()
}

func (s *Certs) read() error {
	s.tried = s.states()
	next, ends, err := s.c.load()
	if err != nil {
		return err
	}
	if s.held.Swap(next) != nil {
		s.c.Log.Info("certificate was read anew", "file", s.c.Cert, "until", ends)
	}
	if left := time.Until(ends); left < soon {
		s.c.Log.Warn("certificate ends soon", "file", s.c.Cert, "until", ends)
	}
	return nil
}

func (c *Config) load() (next *held, ends time.Time, err error) {
	if err := private.CheckKey(c.Key); err != nil {
		return nil, ends, err
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, ends, fmt.Errorf("reading certificate %s with key %s: %w", c.Cert, c.Key, err)
	}
	ends = pair.Leaf.NotAfter
	if now := time.Now(); now.After(ends) {
		return nil, ends, fmt.Errorf("certificate %s has ended at %s; put a new one in its place", c.Cert, ends.UTC().Format(time.RFC3339))
	}
	of := tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	next = &held{listen: of.Clone(), call: of.Clone()}
	if c.CA == "" {
		return next, ends, nil
	}
	cas, err := readCAs(c.CA)
	if err != nil {
		return nil, ends, err
	}
	next.listen.ClientCAs, next.listen.ClientAuth = cas, tls.RequireAndVerifyClientCert
	next.call.RootCAs = cas
	return next, ends, nil
}

// readCAs reads the certificates of CAs.
func readCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	cas := x509.NewCertPool()
	if !cas.AppendCertsFromPEM(text) {
		return nil, errors.New(file + " holds no certificate of a CA in PEM")
	}
	return cas, nil
}
