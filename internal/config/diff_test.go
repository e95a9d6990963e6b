package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestDiff_Golden compares testdata/diff/NAME.old.hcl with NAME.new.hcl, and the lines with NAME.golden.
func TestDiff_Golden(t *testing.T) {
	files, err := filepath.Glob("testdata/diff/*.old.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".old.hcl")
		t.Run(filepath.Base(name), func(t *testing.T) {
			old, next := loaded(t, name+".old.hcl"), loaded(t, name+".new.hcl")
			changes := Diff(old, next)
			var got strings.Builder
			for _, c := range changes {
				got.WriteString(c.String() + "\n")
			}
			if err := changes.Fixed(); err != nil {
				got.WriteString("error: " + err.Error() + "\n")
			}
			if flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile(name+".golden", []byte(got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("the changes (-want +got):\n%s", diff)
			}
			if same := Diff(next, next); same != nil {
				t.Errorf("a config differs from itself: %v", same)
			}
		})
	}
}

func loaded(t *testing.T, path string) *Config {
	t.Helper()
	c, err := Options{BaseDir: "/base"}.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// derived are fields that follow from others, and so never change alone.
var derived = map[string]bool{
	"Pools.LatencyWeight": true, "Pools.GPUsPerSlot": true, "Pools.NodePool": true, // of the pool "local"; the golden files have those of others
	"Models.ParkedMemory": true,
}

// TestDiff_SeesEveryField changes each field of a config by itself: one that was added and is compared nowhere would be taken by a server without a
// word, or not at all.
func TestDiff_SeesEveryField(t *testing.T) {
	whole := func() *Config {
		c := Options{BaseDir: "/base"}.Default()
		c.Models = []*fleet.Model{Options{}.model("acme/a")}
		c.Webhooks = []Webhook{{Name: "a"}}
		c.Admin.Tokens = []AdminToken{{Name: "a"}}
		return c
	}
	paths := leaves(reflect.ValueOf(whole()).Elem(), "")
	if len(paths) < 60 {
		t.Fatalf("got %d fields, which cannot be all: %v", len(paths), paths)
	}
	for _, path := range paths {
		next := whole()
		alter(t, find(reflect.ValueOf(next).Elem(), path))
		got := Diff(whole(), next)
		if len(got) == 0 && !derived[path] {
			t.Errorf("another %s makes no difference", path)
		}
		if strings.HasPrefix(path, "Models.") {
			drains := len(got) > 0 && strings.Contains(got[0].Effect, effectDrain)
			if path == "Models.ID" {
				continue // another model
			}
			if like := whole().Models[0].LaunchesLike(next.Models[0]); like == drains && !derived[path] {
				t.Errorf("another %s: %v, but launched alike: %v", path, got, like)
			}
		}
	}
}

// leaves gives the dotted paths of all fields that hold no struct; of a list of structs, those of its first.
func leaves(v reflect.Value, prefix string) []string {
	var paths []string
	for f, field := range v.Fields() {
		path := prefix + f.Name
		if inner, ok := structIn(field); ok {
			paths = append(paths, leaves(inner, path+".")...)
		} else {
			paths = append(paths, path)
		}
	}
	return paths
}

// structIn gives the struct that a field is, points to, or lists first.
func structIn(v reflect.Value) (reflect.Value, bool) {
	if v.Kind() == reflect.Slice && v.Len() > 0 {
		v = v.Index(0)
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v, v.Kind() == reflect.Struct
}

func find(v reflect.Value, path string) reflect.Value {
	for name := range strings.SplitSeq(path, ".") {
		v, _ = structIn(v)
		v = v.FieldByName(name)
	}
	return v
}

// alter gives a field another value, which the file could hold.
func alter(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		v.SetInt(v.Int() + int64(time.Hour))
	case v.Type() == reflect.TypeFor[fleet.Bytes]():
		v.SetInt(v.Int() + 1<<30)
	case v.CanInt():
		v.SetInt(v.Int() + 1)
	case v.CanFloat():
		v.SetFloat(v.Float() + 1)
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.Kind() == reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"NAME": "value"}))
	case v.Kind() == reflect.Slice:
		one := reflect.MakeSlice(v.Type(), 1, 1)
		one.Index(0).SetString("x")
		v.Set(reflect.AppendSlice(v, one))
	default:
		t.Fatalf("a field of type %s, which this test cannot change", v.Type())
	}
}

func TestDiff_NeverShowsTheValuesOfAnEnvironment(t *testing.T) {
	old, next := Options{}.Default(), Options{}.Default()
	before, after := Options{}.model("acme/a"), Options{}.model("acme/a")
	before.Engine.Env = map[string]string{"HF_TOKEN": "hf_first"}
	after.Engine.Env = map[string]string{"HF_TOKEN": "hf_second"}
	old.Models, next.Models = []*fleet.Model{before}, []*fleet.Model{after}
	got := Diff(old, next)
	if len(got) != 1 || strings.Contains(got[0].String(), "hf_") || !strings.Contains(got[0].String(), "HF_TOKEN") {
		t.Errorf("got %v, want the one name without its values", got)
	}
}

func TestKeep_SharesWhatIsTheSame(t *testing.T) {
	old, next := Options{}.Default(), Options{}.Default()
	old.Models = []*fleet.Model{Options{}.model("acme/a"), Options{}.model("acme/b")}
	next.Models = []*fleet.Model{Options{}.model("acme/b"), Options{}.model("acme/a"), Options{}.model("acme/c")}
	next.Models[1].IdleAfter = time.Hour
	next.Keep(old)
	if next.Models[0] != old.Models[1] || next.Models[1] == old.Models[0] || next.Models[1].IdleAfter != time.Hour || next.Models[2].ID != "acme/c" {
		t.Errorf("got %v of %v", next.Models, old.Models)
	}
}
