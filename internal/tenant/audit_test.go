package tenant_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// by gives a context in which somebody does something.
func by(t *testing.T, actor, action string) context.Context {
	return audit.With(t.Context(), &audit.Act{Who: audit.Who{Actor: actor}, Action: action})
}

func entries(t *testing.T, l *audit.Log) []audit.Entry {
	t.Helper()
	page, _, err := l.List(t.Context(), audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// TestAudit_OneEntryForEachChange and none for what changes nothing or fails; never a secret or its hash.
func TestAudit_OneEntryForEachChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	tenants, log := open(t, path), audit.New(storetest.Open(t, path), nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := tenants.CreateOrg(by(t, "root", "org.create"), tenant.NewOrg{Name: "acme"})
	must(err)
	if _, err := tenants.CreateOrg(by(t, "root", "org.create"), tenant.NewOrg{Name: "acme"}); !errors.Is(err, tenant.ErrExists) {
		t.Errorf("got %v", err)
	}
	secret, made, err := tenants.CreateToken(by(t, "root", "token.create"), tenant.NewToken{Org: "acme", Scopes: tenant.Scopes()})
	must(err)
	grant, err := tenants.Authenticate(secret)
	must(err)
	theirs, delegated, err := tenants.Delegate(by(t, made.ID, "token.create"), grant, tenant.NewToken{Name: "theirs"})
	must(err)
	rpm := 7
	_, err = tenants.UpdateToken(by(t, "root", "token.update"), delegated.ID, tenant.TokenChange{Limits: tenant.LimitsChange{RPM: &rpm}})
	must(err)
	_, err = tenants.RevokeTokenOf(by(t, made.ID, "token.revoke"), "acme", delegated.ID)
	must(err)
	_, err = tenants.RevokeTokenOf(by(t, made.ID, "token.revoke"), "acme", delegated.ID) // again
	must(err)
	all := entries(t, log)
	var got []string
	for _, e := range all {
		got = append(got, e.Actor+" "+e.Action+" "+e.Subject)
	}
	want := strings.Join([]string{
		made.ID + " token.revoke token/" + delegated.ID, "root token.update token/" + delegated.ID, made.ID + " token.create token/" + delegated.ID,
		"root token.create token/" + made.ID, "root org.create org/acme",
	}, "\n")
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if update := all[1]; string(update.Before) != `{"rpm":0}` || string(update.After) != `{"rpm":7}` {
		t.Errorf("got %s > %s, want what differs", update.Before, update.After)
	}
	text, err := json.Marshal(all)
	must(err)
	for _, s := range []string{secret, theirs} {
		sum := sha256.Sum256([]byte(s))
		if strings.Contains(string(text), s) || strings.Contains(string(text), hex.EncodeToString(sum[:])) {
			t.Errorf("a secret or its hash is in %s", text)
		}
	}
}

// TestAudit_NoChangeWithoutItsEntry: where the entry cannot be kept, nothing is changed.
func TestAudit_NoChangeWithoutItsEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	tenants, s := open(t, path), storetest.Open(t, path)
	createOrg(t, tenants, "zoo")
	secret, token := createToken(t, tenants, tenant.NewToken{Org: "zoo"})
	if err := s.Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec("ALTER TABLE audit RENAME TO elsewhere"); return err }); err != nil {
		t.Fatal(err)
	}
	_, created := tenants.CreateOrg(by(t, "root", "org.create"), tenant.NewOrg{Name: "acme"})
	_, suspended := tenants.SuspendOrg(by(t, "root", "org.suspend"), "zoo")
	_, _, issued := tenants.CreateToken(by(t, "root", "token.create"), tenant.NewToken{Org: "zoo"})
	_, revoked := tenants.RevokeToken(by(t, "root", "token.revoke"), token.ID)
	_, imported := tenants.Import(by(t, "root", "org.import"), []tenant.OrgImport{{Name: "imported"}}, nil, false)
	for what, err := range map[string]error{"created": created, "suspended": suspended, "issued": issued, "revoked": revoked, "imported": imported} {
		if err == nil {
			t.Errorf("an organisation or token was %s without an entry", what)
		}
	}
	orgs, err := tenants.Orgs(t.Context())
	if err != nil || len(orgs) != 1 || orgs[0].State != tenant.Active {
		t.Errorf("got %+v, %v, want the one that was there", orgs, err)
	}
	wantAuth(t, tenants, secret, nil)
}
