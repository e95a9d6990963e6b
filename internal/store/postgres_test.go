package store_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

func TestPostgres_First(t *testing.T) {
	s := storetest.ServerOf(t)
	p, err := store.OpenPostgres(t.Context(), s.Empty(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.SaveSetting(t.Context(), "a", "b", "c"); err != nil {
		t.Fatal(err)
	}
	t.Log(p, s)
}
var _ = errors.Is
var _ = url.Parse
var _ = strings.Cut
var _ sql.NullBool
var _ = context.Background
