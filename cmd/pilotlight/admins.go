package main

import (
	"fmt"
	"log/slog"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/config"
)

// openAdmins reads the admin tokens of a server's config.
func openAdmins(cfg *config.Config, getenv func(string) string, log *slog.Logger) (*access.Admins, error) {
	root := getenv(cfg.Admin.TokenEnv)
	switch {
	case root == "":
		return nil, fmt.Errorf("%s is not set; it must hold the admin token, of %d characters or more", cfg.Admin.TokenEnv, access.MinToken)
	case len(root) < access.MinToken:
		return nil, fmt.Errorf("%s holds an admin token of %d characters; it must have %d or more", cfg.Admin.TokenEnv, len(root), access.MinToken)
	}
	return access.New(access.Config{Root: root, Tokens: adminTokens(cfg), Getenv: getenv, Log: log})
}

// adminTokens gives the named ones of a config.
func adminTokens(cfg *config.Config) []access.Token {
	tokens := make([]access.Token, len(cfg.Admin.Tokens))
	for i, t := range cfg.Admin.Tokens {
		tokens[i] = access.Token{Name: t.Name, Role: access.Role(t.Role), Env: t.Env, File: t.File}
	}
	return tokens
}
