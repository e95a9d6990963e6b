package admin_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func TestImport(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	secret := tenant.NewSecret()
	sum := sha256.Sum256([]byte(secret))
	file := admin.ImportFile{Name: "o.hcl", Content: "org \"acme\" {\n  rpm = 60\n  token \"ci\" {}\n}\n"}
	ahead, err := w.client.Import(ctx, file, true)
	check(t, err)
	if ahead.Applied || len(ahead.Changes) != 4 || !cmp.Equal(ahead.Missing, []admin.TokenName{{Org: "acme", Name: "ci"}}) {
		t.Errorf("dry: got %+v", ahead)
	}
	var refused *openai.Error
	if _, err := w.client.Import(ctx, file, false); !errors.As(err, &refused) || *refused.Param != "content" || !strings.HasPrefix(refused.Message, "o.hcl:3: it is new") {
		t.Errorf("without a hash: got %v, want its line", err)
	}
	if orgs, err := w.client.Orgs(ctx); err != nil || len(orgs) != 0 {
		t.Errorf("got %+v, %v, want nothing changed yet", orgs, err)
	}
	file.Hashes = []admin.TokenHash{{Org: "acme", Name: "ci", SHA256: hex.EncodeToString(sum[:])}}
	done, err := w.client.Import(ctx, file, false)
	check(t, err)
	if !done.Applied || !cmp.Equal(done.Changes, ahead.Changes) || len(done.Missing) != 0 || done.Changes[1].Text != `~ org "acme": rpm 0 -> 60` {
		t.Errorf("got %+v, want %+v", done, ahead)
	}
	if g, err := w.tenants.Authenticate(secret); err != nil || g.OrgLimits.RPM != 60 {
		t.Errorf("got %+v, %v, want the secret to work", g, err)
	}
	again, err := w.client.Import(ctx, file, false)
	check(t, err)
	if len(again.Changes) != 0 {
		t.Errorf("again: got %+v, want no change", again)
	}
	large := admin.ImportFile{Name: "o.hcl", Content: "org \"big\" {}\n" + strings.Repeat("# an organisation\n", 100_000)}
	if _, err := w.client.Import(ctx, large, true); err != nil {
		t.Errorf("a file of %d bytes: got %v", len(large.Content), err)
	}
}
