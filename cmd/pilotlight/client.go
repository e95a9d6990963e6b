package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

const defaultAdminURL = "http://127.0.0.1:8081"

// The variables that commands read, in place of flags.
const (
	addrVariable       = "PILOTLIGHT_ADDR"
	adminTokenVariable = "PILOTLIGHT_ADMIN_TOKEN"
)

// serverFlags say which running server a command talks to.
type serverFlags struct {
	Addr    string `placeholder:"URL" help:"Admin address of the server; else $$PILOTLIGHT_ADDR, else ${default_addr}."`
	DataDir string `name:"data-dir" complete:"dir" placeholder:"DIR" help:"Where a server on this machine keeps admin.token, for when $$PILOTLIGHT_ADMIN_TOKEN is not set."`
}

// jsonFlag is embedded in commands that can print JSON.
type jsonFlag struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// client makes the client of the server that the flags and the environment name.
func (f serverFlags) client(env *Env) (*admin.Client, error) {
	base, err := f.url(env)
	if err != nil {
		return nil, err
	}
	token, err := f.token(env, base)
	if err != nil {
		return nil, err
	}
	trust, err := trusting(env)
	if err != nil {
		return nil, err
	}
	env.client = &admin.Client{BaseURL: strings.TrimRight(base.String(), "/"), Token: token, HTTP: trust}
	env.doing("waiting for " + base.Host)
	return env.client, nil
}

func (f serverFlags) url(env *Env) (*url.URL, error) {
	addr := f.Addr
	for _, other := range []string{env.Getenv(addrVariable), defaultAdminURL} {
		if addr == "" {
			addr = other
		}
	}
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not the address of a server; write one such as %s", addr, defaultAdminURL)
	}
	return u, nil
}

// token is the variable's, or that of the data directory where the server is on this machine.
func (f serverFlags) token(env *Env, base *url.URL) (string, error) {
	env.tokenOf = adminTokenVariable
	if token := env.Getenv(adminTokenVariable); token != "" {
		return token, nil
	}
	if !isLoopback(base.Hostname()) {
		return "", fmt.Errorf("no admin token for %s; set %s", base.Host, adminTokenVariable)
	}
	dir, err := resolveDataDir(f.DataDir, env)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, adminTokenFile)
	env.tokenOf = path
	token, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no admin token: %[1]s is not set and %[2]s does not exist; is `pilotlight dev` running, and with this --data-dir? Of a server elsewhere, name the address with --addr or %[3]s", adminTokenVariable, path, addrVariable)
	}
	if err != nil {
		return "", fmt.Errorf("reading the admin token: %w; set %s", err, adminTokenVariable)
	}
	return token, nil
}

// unauthorized says of a refused token where it is from, and how to name the server that it belongs to, or the token of the server that is meant.
func unauthorized(env *Env, err error) error {
	var refused *openai.Error
	if env.client == nil || !errors.As(err, &refused) || refused.Code != openai.CodeInvalidAPIKey {
		return err
	}
	another := fmt.Sprintf("if another server is meant, name it with --addr or %s", addrVariable)
	if env.tokenOf == adminTokenVariable {
		return fmt.Errorf("the server at %s does not accept the admin token in %[2]s; set %[2]s to the server's, or unset it where --data-dir is to say which token it is; %s",
			env.client.BaseURL, adminTokenVariable, another)
	}
	return fmt.Errorf("the server at %s does not accept the admin token in %s; name its data directory with --data-dir, or set %s to its token; %s",
		env.client.BaseURL, env.tokenOf, adminTokenVariable, another)
}
