package nomad

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// FuzzEvents has Nomad's event stream say anything: whatever comes is taken or left out, and each instance is told of once.
func FuzzEvents(f *testing.F) {
	f.Add(`{}{"Index":3,"Events":[{"Topic":"Job","Type":"JobRegistered","Key":"pilotlight-a-x","Namespace":"default","Index":3,"Payload":{"Job":{"ID":"pilotlight-a-x","Namespace":"default","Status":"running","Meta":{"pilotlight_cluster":"a","pilotlight_model":"m","pilotlight_instance":"x","pilotlight_term":"1","pilotlight_spec":"{}"},"TaskGroups":[{"Name":"engine","Count":1,"Tasks":[{"Name":"engine","Resources":{"Devices":[{"Name":"nvidia/gpu","Count":2}]}}]}],"CreateIndex":3,"ModifyIndex":3}}}]}
{"Index":4,"Events":[{"Topic":"Allocation","Key":"1","Namespace":"default","Index":4,"Payload":{"Allocation":{"ID":"1","JobID":"pilotlight-a-x","Namespace":"default","NodeID":"n","ClientStatus":"running","DesiredStatus":"run","CreateIndex":4,"ModifyIndex":4,"AllocatedResources":{"Shared":{"Networks":[{"IP":"10.0.0.1"}],"Ports":[{"Label":"http","Value":8000,"HostIP":"10.0.0.1"}]}},"TaskStates":{"engine":{"State":"running","Events":[{"Type":"Started","Time":1}]}}}}}]}
{"Index":5,"Events":[{"Topic":"Node","Key":"n","Index":5,"Payload":{"Node":{"ID":"n","Status":"ready","NodePool":"default","Datacenter":"dc1","SchedulingEligibility":"eligible"}}},{"Topic":"Evaluation","Key":"e","Index":5,"FilterKeys":["pilotlight-a-x"],"Payload":{"Evaluation":{"ID":"e","JobID":"pilotlight-a-x","Namespace":"default","Status":"complete","FailedTGAllocs":{"engine":{"NodesEvaluated":1}}}}}]}`)
	f.Add(`{"Events":[{"Topic":"Job","Index":9,"Payload":{"Deleted":true,"Job":{}}},{"Topic":"Allocation","Index":9,"Payload":{"Allocation":{"TaskStates":{"a":null}}}},{"Topic":"Node","Index":9,"Payload":{"Node":{"NodeResources":{"Devices":[null]}}}}]}`)
	f.Add(`{"Index":-1}`)
	f.Fuzz(func(t *testing.T, said string) {
		n, err := New(Config{Addr: "http://127.0.0.1:1", Cluster: "a"})
		if err != nil {
			t.Fatal(err)
		}
		w := newWatch(n)
		batches := make(chan batch, 1<<10)
		go func() {
			defer close(batches)
			decode(t.Context(), io.NopCloser(strings.NewReader(said)), batches)
		}()
		for b := range batches {
			for i := range b.Events {
				w.state.apply(&b.Events[i], &w.changes)
			}
			once(t, w.changed())
			w.changes.reset()
			if context.Cause(t.Context()) != nil {
				return
			}
		}
		once(t, w.complete())
	})
}

func once(t *testing.T, o fleet.Observation) {
	t.Helper()
	seen := map[string]bool{}
	for _, s := range o.Instances {
		if s.ID == "" || seen[s.ID] {
			t.Errorf("instance %q is told of without a name, or twice", s.ID)
		}
		seen[s.ID] = true
	}
}
