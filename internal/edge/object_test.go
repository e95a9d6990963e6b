package edge_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

type common struct {
	RPM *int `json:"rpm,omitempty"`
}

type inner struct {
	Why string `json:"why"`
}

type order struct {
	Name  string   `json:"name"`
	List  []string `json:"list"`
	On    *bool    `json:"on"`
	Inner *inner   `json:"inner"`
	common
}

func TestDecode_TakesWhatIsThere(t *testing.T) {
	zero, five, off := 0, 5, false
	for body, want := range map[string]order{
		`{}`:                                   {},
		`{"name": "a", "list": ["b"]}`:         {Name: "a", List: []string{"b"}},
		`{"rpm": 5, "on": false}`:              {common: common{RPM: &five}, On: &off},
		`{"rpm": null, "on": null}`:            {common: common{RPM: &zero}, On: &off},
		`{"inner": {"why": "x"}}`:              {Inner: &inner{Why: "x"}},
		`{"inner": null, "list": null}`:        {Inner: &inner{}},
		"\n{\"inner\" : {} , \"name\":\"\"}\n": {Inner: &inner{}},
	} {
		var got order
		if err := edge.Decode([]byte(body), &got); err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(order{})) {
			t.Errorf("%s: got %+v, %v, want %+v", body, got, err, want)
		}
	}
}

func TestDecode_NamesWhatIsWrong(t *testing.T) {
	for body, want := range map[string]string{
		``: "empty", ` `: "empty", `[]`: "not a JSON object", `{"name": "a"`: "not valid JSON", `{} {}`: "more after", `{"name" 1}`: "not valid JSON",
		`{"Name": "a"}`:                   "Name: unknown; possible are name, list, on, inner, rpm",
		`{"name": "a", "name": "a"}`:      "name: comes twice",
		`{"rpm": "5"}`:                    "rpm: is string; it must be a whole number",
		`{"rpm": 1.5}`:                    "rpm: is number 1.5; it must be a whole number",
		`{"on": 1}`:                       "on: is number; it must be true or false",
		`{"list": "a"}`:                   "list: is string; it must be a list",
		`{"inner": 1}`:                    "inner: is number; it must be an object",
		`{"inner": {"whi": 1}}`:           "inner.whi: unknown; possible are inner.why",
		`{"inner": {"why": 1}}`:           "inner.why: is number; it must be a string",
		`{"inner": {"why": "", "why":1}}`: "why: comes twice",
	} {
		var refused *openai.Error
		if err := edge.Decode([]byte(body), &order{}); !errors.As(err, &refused) || refused.Status != 400 || !strings.Contains(refused.Message, want) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
	}
}
