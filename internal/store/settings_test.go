package store_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSaveSettings_AllOrNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	s := open(t, path)
	defer s.Close()
	ctx := t.Context()
	if err := s.SaveSettings(ctx, "pool/h100", map[string]string{"a": "1", "b": "2"}, nil); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "CREATE TRIGGER no BEFORE INSERT ON settings WHEN NEW.name = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END")
	if err := s.SaveSettings(ctx, "pool/h100", map[string]string{"a": "", "b": "3", "bad": "x", "c": "4"}, nil); err == nil {
		t.Error("got nil, want the database's refusal")
	}
	settings, err := s.Settings(ctx, "pool/h100")
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, settings); diff != "" || err != nil {
		t.Errorf("%v, settings (-want +got):\n%s", err, diff)
	}
}

func TestSettingScopes(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	defer s.Close()
	for _, scope := range []string{"pool/b", "pool/a", "pool/a", "Pool/c", "autoscaler", "pool/gone"} {
		if err := s.SaveSettings(t.Context(), scope, map[string]string{"k": "v"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveSetting(t.Context(), "pool/gone", "k", ""); err != nil {
		t.Fatal(err)
	}
	scopes, err := s.SettingScopes(t.Context(), "pool/")
	if diff := cmp.Diff([]string{"pool/a", "pool/b"}, scopes); diff != "" || err != nil {
		t.Errorf("%v, scopes (-want +got):\n%s", err, diff)
	}
}

func TestFirstSetting_StaysWhatItWasFirst(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	defer s.Close()
	var asking sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		asking.Go(func() {
			var err error
			if got[i], err = s.FirstSetting(t.Context(), "servers", "store", strconv.Itoa(i)); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if first := got[0]; first == "" || slices.ContainsFunc(got, func(one string) bool { return one != first }) {
		t.Errorf("got %q, want the same for all", got)
	}
}
