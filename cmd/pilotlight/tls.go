package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/pilotlight-io/pilotlight/internal/certs"
	"github.com/pilotlight-io/pilotlight/internal/config"
)

// The variables that name the certificates of commands, as Nomad's and Consul's do.
const (
	caVariable         = "PILOTLIGHT_CACERT"
	clientCertVariable = "PILOTLIGHT_CLIENT_CERT"
	clientKeyVariable  = "PILOTLIGHT_CLIENT_KEY"
)

// listenerCerts are the certificates of both listeners; nil = that one speaks no TLS.
type listenerCerts struct{ api, admin *certs.Certs }

func openCerts(cfg *config.Config, log *slog.Logger) (l listenerCerts, err error) {
	open := func(block string, c config.TLS) (*certs.Certs, error) {
		if !c.On() {
			return nil, nil
		}
		opened, err := certs.Open(certs.Config{Cert: c.Cert, Key: c.Key, CA: c.ClientCA, Log: log.With("listener", block)})
		if err != nil {
			return nil, fmt.Errorf("%s.tls: %w", block, err)
		}
		return opened, nil
	}
	var ofAPI, ofAdmin error
	l.api, ofAPI = open("api", cfg.API.TLS)
	l.admin, ofAdmin = open("admin", cfg.Admin.TLS)
	return l, errors.Join(ofAPI, ofAdmin)
}

// reload reads the files at once, where a signal asks for it.
func (l listenerCerts) reload(log *slog.Logger) {
	for _, c := range []*certs.Certs{l.api, l.admin} {
		if c == nil {
			continue
		}
		if err := c.Reload(); err != nil {
			log.Error("a certificate was not taken; the former goes on", "reason", err)
		}
	}
}

// listenerTLS is what a listener with these certificates speaks; nil = no TLS.
func listenerTLS(c *certs.Certs) *tls.Config {
	if c == nil {
		return nil
	}
	return c.Listener()
}

// baseOf is the URL of a listener of ours, seen from this machine.
func baseOf(ln net.Listener, c *certs.Certs) string {
	if c == nil {
		return "http://" + callable(ln)
	}
	return "https://" + callable(ln)
}

// ownClient makes a client of this process for its own listener.
func ownClient(c *certs.Certs) *http.Client {
	t := &http.Transport{MaxIdleConnsPerHost: 8}
	if c != nil {
		t.TLSClientConfig = c.Own()
	}
	return &http.Client{Transport: t}
}

// trusting makes the client of a command, with what the environment says of certificates; nil = it says nothing.
func trusting(env *Env) (*http.Client, error) {
	ca, cert, key := env.Getenv(caVariable), env.Getenv(clientCertVariable), env.Getenv(clientKeyVariable)
	if cmp.Or(ca, cert, key) == "" {
		return nil, nil
	}
	if (cert == "") != (key == "") {
		return nil, fmt.Errorf("%s and %s go together; set both or neither", clientCertVariable, clientKeyVariable)
	}
	c, err := certs.CallerConfig(ca, cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s, %s and %s: %w", caVariable, clientCertVariable, clientKeyVariable, err)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = c
	return &http.Client{Transport: t}, nil
}
