package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// devOrg is the organisation that dev makes for whoever runs it.
const devOrg = "dev"

// devToken gives the secret in the data directory, or makes a token where there is none that works.
func devToken(env *Env, s *server, dir *dataDir) (string, error) {
	path := dir.join(devTokenFile)
	secret, err := readSecret(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err == nil {
		_, err = s.tenants.Authenticate(secret)
		if err == nil || errors.Is(err, tenant.ErrOrgSuspended) {
			return secret, nil
		}
		env.say("the token in %s does not work any more (%v); making another", path, err)
	}
	if _, err := s.tenants.EnsureOrg(env.ctx, devOrg); err != nil {
		return "", fmt.Errorf("making the org %s: %w", devOrg, err)
	}
	secret, _, err = s.tenants.CreateToken(env.ctx, tenant.NewToken{
		Org: devOrg, Name: "dev", Scopes: []tenant.Scope{tenant.ScopeInference, tenant.ScopeModelsRead, tenant.ScopeUsageRead},
	})
	if err != nil {
		return "", fmt.Errorf("making the token of dev: %w", err)
	}
	return secret, writeSecret(path, secret)
}
