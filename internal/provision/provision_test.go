package provision_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/provision"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/tenant/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.OnBoth(m)) }

const (
	llama   = "meta-llama/Meta-Llama-3-8B-Instruct"
	mistral = "mistralai/Mistral-7B-Instruct-v0.3"
)

func newTenants(t testing.TB) *tenant.Tenants {
	t.Helper()
	tenants, err := tenant.New(context.Background(), storetest.Open(t, filepath.Join(t.TempDir(), "p.db")), tenant.Config{Models: []string{llama, mistral}})
	if err != nil {
		t.Fatal(err)
	}
	return tenants
}

func lines(found *tenant.Imported) []string {
	all := []string{}
	for _, c := range found.Changes {
		all = append(all, c.String())
	}
	return all
}

func sample(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/orgs.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSample_LoadsAndShowsEverySetting(t *testing.T) {
	tenants, text := newTenants(t), sample(t)
	hashes := provision.Hashes{{Org: "acme", Name: "web"}: {1}}
	file := provision.Source{Name: "orgs.hcl", Content: []byte(text)}
	done, err := provision.Import(t.Context(), tenants, file, hashes, false)
	if err != nil || len(done.Changes) < 20 {
		t.Fatalf("got %+v, %v, want it imported", done, err)
	}
	again, err := provision.Import(t.Context(), tenants, file, nil, false)
	if err != nil || len(again.Changes) != 0 {
		t.Errorf("again: got %q, %v, want no change", lines(again), err)
	}
	// What a limit is called in JSON it is called in the file.
	for f := range reflect.TypeFor[wire.LimitsChange]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if n := len(regexp.MustCompile(`(?m)^\s+`+name+`\s+[={]`).FindAllString(text, -1)); n < 1 {
			t.Errorf("the sample does not show %s", name)
		}
	}
}

func TestJSON_SaysTheSame(t *testing.T) {
	inHCL := `
org "acme" {
  models     = ["` + llama + `"]
  rpm        = 60
  budget_usd = "99.50"
  budget_raise {
    budget_usd = "500"
    until      = "2099-12-31"
    why        = "launch"
  }
  token "ci" {
    sha256 = "` + strings.Repeat("ab", 32) + `"
    scopes = ["usage:read"]
  }
}
org "b" {}
`
	inJSON := `{"org": {"acme": {"models": ["` + llama + `"], "rpm": 60, "budget_usd": "99.50",
		"budget_raise": {"budget_usd": "500", "until": "2099-12-31", "why": "launch"},
		"token": {"ci": {"sha256": "` + strings.Repeat("AB", 32) + `", "scopes": ["usage:read"]}}}, "b": {}}}`
	want, err := provision.Import(t.Context(), newTenants(t), provision.Source{Name: "o.hcl", Content: []byte(inHCL)}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	tenants := newTenants(t)
	got, err := provision.Import(t.Context(), tenants, provision.Source{Name: "o.json", Content: []byte(inJSON)}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
		t.Errorf("(-HCL +JSON):\n%s", diff)
	}
	again, err := provision.Import(t.Context(), tenants, provision.Source{Name: "o.hcl", Content: []byte(inHCL)}, nil, false)
	if err != nil || len(again.Changes) != 0 {
		t.Errorf("the one after the other: got %q, %v, want no change", lines(again), err)
	}
}

// mistaken has a mistake in each line that ends in a comment, which says what is to be said of it; several are separated by a bar.
const mistaken = `
org "acme" {
  models      = ["a/b", "c/d"]     # there is no model "a/b"|there is no model "c/d"
  state       = "asleep"           # state: "asleep" is no state
  rpm         = -1                 # rpm: -1 is out of range
  concurrency = 5000000000         # concurrency: 5000000000 is out of range
  budget_usd  = "10"
  budget_raise {                   # budget_raise: 5.00 is not more than
    budget_usd = "5"
    until      = "2099-12-31"
    why        = "x"
  }
  token "late" {
    expires = "2020-12-31"         # expires: 2021-01-01T00:00:00Z is past
    scopes  = ["root"]             # there is no scope "root"
    keepalive = "loud"             # there is no mode "loud"
  }
}
org "types" {
  modls       = []                 # "modls" is not expected here
  models      = "a"                # models is no list; write a list of texts
  state       = 5                  # state is number; write "active" or "suspended"
  rpm         = "5"                # rpm is string; write a whole number without quotes
  concurrency = 1.5                # concurrency is 1.5; write a whole number
  budget_usd  = 10                 # budget_usd is number; write a decimal in quotes
  budget_soft = "yes"              # budget_soft is string; write true or false
  budget_raise {                   # budget_raise lacks until|budget_raise lacks why
    budget_usd = "1,5"             # budget_usd: "1,5" is not an amount
  }
  budget_raise {}                  # budget_raise comes twice
  token "ci" {
    sha256  = "abc"                # sha256: it is not the 64 hexadecimal digits
    expires = "90d"                # expires: "90d" is neither a day
    models  = [5]                  # an element of models is number
    secret  = "pl_x"               # "secret" is not expected here
  }
  token "ci" {}                    # token "ci" comes twice, the first time in line 31
  token "both" {
    rpm    = "5"                   # rpm is string
    scopes = ["root"]              # there is no scope "root"
  }
  pool "x" {}                      # "pool" are not expected here
  budget_period = "hourly"         # budget_period: there is no period "hourly"
}
org "acme" {}                      # org "acme" comes twice, the first time in line 2
org "bad name" {}                  # is not an organisation's name
org "fine" {
  token "new" {}
}
`

func TestMistakes_AllAtOnceWithTheirLines(t *testing.T) {
	tenants := newTenants(t)
	_, err := provision.Import(t.Context(), tenants, provision.Source{Name: "dir/o.hcl", Content: []byte(mistaken)}, nil, false)
	var mistakes provision.Mistakes
	if !errors.As(err, &mistakes) {
		t.Fatalf("got %v, want mistakes", err)
	}
	left := append(provision.Mistakes{}, mistakes...)
	for i, line := range strings.Split(mistaken, "\n") {
		_, comment, found := strings.Cut(line, "# ")
		if !found {
			continue
		}
		for want := range strings.SplitSeq(comment, "|") {
			at := "dir/o.hcl:" + strconv.Itoa(i+1) + ": "
			n := slices.IndexFunc(left, func(m string) bool { return strings.HasPrefix(m, at) && strings.Contains(m, want) })
			if n < 0 {
				t.Errorf("line %d: nobody says %q", i+1, want)
				continue
			}
			left = append(left[:n], left[n+1:]...)
		}
	}
	if len(left) > 0 {
		t.Errorf("and besides:\n%s", left)
	}
	if orgs, err := tenants.Orgs(t.Context()); err != nil || len(orgs) != 0 {
		t.Errorf("got %v, %v, want nothing changed", orgs, err)
	}
}

func TestMistakes_OfTheWholeFile(t *testing.T) {
	for name, row := range map[string]struct{ file, content, says string }{
		"syntax":        {"o.hcl", "org \"a\" {\n  rpm = \n}\n", "o.hcl:2: "},
		"JSON syntax":   {"o.json", "{\"org\": {\n\"a\": }}", "o.json:2: "},
		"JSON type":     {"o.json", "{\"org\": {\"a\": {\n\"rpm\": \"5\"}}}", "o.json:2: rpm is string"},
		"not text":      {"o.hcl", "\xff", "o.hcl:1: the file is not UTF-8"},
		"a variable":    {"o.hcl", "org \"a\" {\n  rpm = var.rpm\n}\n", "o.hcl:2: "},
		"no label":      {"o.hcl", "org {}\n", "o.hcl:1: "},
		"new, no hash":  {"o.hcl", "org \"a\" {\n  token \"t\" {}\n}\n", "o.hcl:2: it is new and has no sha256"},
		"soft, no budg": {"o.hcl", "org \"a\" {\n  budget_soft = true\n}\n", "o.hcl:2: budget_soft: there is no budget"},
	} {
		_, err := provision.Import(t.Context(), newTenants(t), provision.Source{Name: row.file, Content: []byte(row.content)}, nil, false)
		var mistakes provision.Mistakes
		if !errors.As(err, &mistakes) || !strings.Contains(mistakes.Error(), row.says) {
			t.Errorf("%s: got %v, want %q", name, err, row.says)
		}
	}
}

func FuzzImport(f *testing.F) {
	f.Add("o.hcl", mistaken)
	f.Add("o.json", `{"org": {"a": {"rpm": 5, "token": {"t": {"sha256": "x"}}}}}`)
	f.Add("o.hcl", sample(f))
	tenants := newTenants(f)
	f.Fuzz(func(t *testing.T, name, content string) {
		_, err := provision.Import(t.Context(), tenants, provision.Source{Name: name, Content: []byte(content)}, nil, true)
		var mistakes provision.Mistakes
		if err != nil && !errors.As(err, &mistakes) {
			t.Errorf("got %v, want mistakes of the file", err)
		}
	})
}
