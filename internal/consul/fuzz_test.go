package consul

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// FuzzEntries has Consul list anything: what makes no sense is left out and casts doubt on the list; nothing is told of twice, or without a place.
func FuzzEntries(f *testing.F) {
	f.Add(`[{"Node":{"Address":"10.0.0.1"},"Service":{"ID":"a","Address":"","Port":8000,"Meta":{"pilotlight_cluster":"a","pilotlight_instance":"x","pilotlight_model":"m"}},"Checks":[{"Status":"passing"}]}]`)
	f.Add(`[null,{},{"Service":{}},{"Service":{"Meta":{"` + MetaCluster + `":"a","` + MetaInstance + `":"x","` + MetaModel + `":"m"},"Address":"::1","Port":1},"Checks":[null]}]`)
	f.Add(`[{"Service":{"Meta":{"` + MetaCluster + `":"a","` + MetaInstance + `":"x","` + MetaModel + `":"m"},"Address":"h","Port":99999}},{"Service":{"Meta":{"` + MetaCluster + `":"a","` + MetaInstance + `":"x","` + MetaModel + `":"m"},"Address":"h","Port":1}}]`)
	f.Fuzz(func(t *testing.T, said string) {
		var a answer
		if json.Unmarshal([]byte(said), &a.entries) != nil {
			return
		}
		c, err := New(Config{Cluster: "a"})
		if err != nil {
			t.Fatal(err)
		}
		o := c.observation(time.Now(), a)
		seen := map[string]bool{}
		for _, s := range o.Instances {
			if s.ID == "" || s.Model == "" || s.Addr == "" || seen[s.ID] {
				t.Errorf("told of %+v, which has no name or place, or is told of twice", s)
			}
			seen[s.ID] = true
		}
		if o.Complete && len(o.Instances) == 0 && len(a.entries) > 0 && ours(a.entries) {
			t.Errorf("nothing was told of %s, and yet it is complete", said)
		}
	})
}

func ours(entries []*api.ServiceEntry) bool {
	for _, e := range entries {
		if e != nil && e.Service != nil && e.Service.Meta[MetaCluster] == "a" {
			return true
		}
	}
	return false
}
