//go:build unix

package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
)

// newToken makes a secret in the form that both Nomad and Consul take.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// bootstrap makes Nomad's first token. Consul has it from its config.
func (c *Cluster) bootstrap(ctx context.Context) error {
	if c.Token == "" {
		return nil
	}
	for { // a server that has no leader yet refuses
		err := c.ask(ctx, http.MethodPut, c.Nomad.Addr+"/v1/acl/bootstrap", map[string]string{"BootstrapSecret": c.Token}, nil)
		if err == nil {
			return nil
		}
		if pause(ctx) != nil {
			return fmt.Errorf("waiting for Nomad's first token: %w", err)
		}
	}
}

// awaitKeys waits until the Nomad server can sign. A node whose registration comes between the election and the first key is refused, and tries
// again only 15 to 30 s later.
func (c *Cluster) awaitKeys(ctx context.Context) error {
	for {
		var set struct{ Keys []json.RawMessage }
		err := c.ask(ctx, http.MethodGet, c.Nomad.Addr+"/.well-known/jwks.json", nil, &set)
		if err == nil && len(set.Keys) > 0 {
			return nil
		}
		if stop := pause(ctx); stop != nil {
			return fmt.Errorf("waiting for Nomad's first key: %w; it has %d (%v)", stop, len(set.Keys), err)
		}
	}
}

// consulSecurity is what a Consul agent's config says of tokens and certificates.
func (w *writer) consulSecurity() string {
	text := ""
	if token := w.cluster.Token; token != "" {
		text += fmt.Sprintf(`acl {
  enabled        = true
  default_policy = "deny"
  tokens {
    initial_management = %[1]q
    agent              = %[1]q
  }
}
`, token)
	}
	if t := w.cluster.TLS; t != nil {
		text += fmt.Sprintf(`tls {
  defaults {
    ca_file         = %q
    cert_file       = %q
    key_file        = %q
    verify_incoming = true
    verify_outgoing = true
  }
  internal_rpc {
    verify_server_hostname = true
  }
}
`, t.CA, t.Cert, t.Key)
	}
	return text
}

// nomadSecurity is what a Nomad agent's config says of them.
func (w *writer) nomadSecurity() string {
	text := ""
	if w.cluster.Token != "" {
		text += "acl {\n  enabled = true\n}\n"
	}
	if t := w.cluster.TLS; t != nil {
		text += fmt.Sprintf(`tls {
  http                   = true
  rpc                    = true
  ca_file                = %q
  cert_file              = %q
  key_file               = %q
  verify_server_hostname = true
  verify_https_client    = true
}
`, t.CA, t.Cert, t.Key)
	}
	return text
}

// consulAccess is what a Nomad agent needs to be let in by its Consul agent.
func (w *writer) consulAccess() string {
	text := ""
	if token := w.cluster.Token; token != "" {
		text += fmt.Sprintf("  token = %q\n", token)
	}
	if t := w.cluster.TLS; t != nil {
		text += fmt.Sprintf("  ssl = true\n  ca_file = %q\n  cert_file = %q\n  key_file = %q\n", t.CA, t.Cert, t.Key)
	}
	return text
}

// Environment is what programs need to reach the cluster: the NOMAD_* and CONSUL_* variables of the official ones, by name.
func (c *Cluster) Environment() map[string]string {
	out := map[string]string{"NOMAD_ADDR": c.Nomad.Addr, "CONSUL_HTTP_ADDR": c.Consul.Addr}
	if c.Token != "" {
		out["NOMAD_TOKEN"], out["CONSUL_HTTP_TOKEN"] = c.Token, c.Token
	}
	if t := c.TLS; t != nil {
		out["NOMAD_CACERT"], out["NOMAD_CLIENT_CERT"], out["NOMAD_CLIENT_KEY"] = t.CA, t.Cert, t.Key
		out["CONSUL_CACERT"], out["CONSUL_CLIENT_CERT"], out["CONSUL_CLIENT_KEY"] = t.CA, t.Cert, t.Key
	}
	return out
}
