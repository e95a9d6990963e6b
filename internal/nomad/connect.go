package nomad

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/secret"
)

const (
	tokenVariable = "NOMAD_TOKEN"
	tokenHeader   = "X-Nomad-Token"

	// connectionsMost bounds our connections to one address: Nomad refuses a client's hundredth, and others on our machine have some, too.
	connectionsMost = 32
	idleMost        = 8
	idleFor         = time.Minute
	dialWithin      = 5 * time.Second
	shakeWithin     = 10 * time.Second
)

// connect makes the client of the one pool of connections that all calls share.
func connect(c *api.Config, token *secret.Token, log *slog.Logger) (*api.Client, error) {
	if token == nil {
		var err error
		if token, err = secret.FromEnvironment(os.Getenv, tokenVariable); err != nil {
			return nil, err
		}
	}
	dialer := &net.Dialer{Timeout: dialWithin}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: shakeWithin,
		MaxConnsPerHost: connectionsMost, MaxIdleConnsPerHost: idleMost, IdleConnTimeout: idleFor,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if path, found := strings.CutPrefix(c.Address, "unix://"); found {
		if unescaped, err := url.PathUnescape(path); err == nil {
			path = unescaped
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) }
		c.Address = "http://127.0.0.1"
	}
	client := &http.Client{Transport: transport}
	if err := api.ConfigureTLS(client, c.TLSConfig); err != nil {
		return nil, err
	}
	client.Transport = &secret.Transport{Base: transport, Header: tokenHeader, Token: token, Whose: "Nomad", Log: log}
	c.HttpClient, c.SecretID = client, ""
	return api.NewClient(c)
}
