package consul

import (
	"log/slog"
	"os"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/secret"
)

const (
	tokenVariable = "CONSUL_HTTP_TOKEN"
	tokenHeader   = "X-Consul-Token"
)

// connect makes a client, and gives what closes its idle connections.
func connect(addr string, token *secret.Token, log *slog.Logger) (*api.Client, func(), error) {
	if token == nil {
		var err error
		if token, err = secret.FromEnvironment(os.Getenv, tokenVariable); err != nil {
			return nil, nil, err
		}
	}
	c := api.DefaultConfig()
	if addr != "" {
		c.Address = addr
	}
	if strings.HasPrefix(addr, "http://") {
		c.Scheme = "http" // CONSUL_HTTP_SSL would win otherwise
	}
	client, err := api.NewClient(c)
	if err != nil {
		return nil, nil, err
	}
	c.HttpClient.Transport = &secret.Transport{Base: c.HttpClient.Transport, Header: tokenHeader, Token: token, Whose: "Consul", Log: log}
	return client, c.HttpClient.CloseIdleConnections, nil
}
