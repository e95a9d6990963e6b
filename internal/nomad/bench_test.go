package nomad

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// crowd is a watch over so many engine jobs, eight to a node, and the server that lists them.
func crowd(b *testing.B, count int) *watch {
	b.Helper()
	var jobs []*api.JobListStub
	var allocs []*api.AllocationListStub
	var nodes []*api.NodeListStub
	for k := range count {
		id := strconv.Itoa(k)
		j := &api.JobListStub{
			ID: "pilotlight-c-org-one-" + id, Namespace: "default", CreateIndex: 5, ModifyIndex: 9, JobModifyIndex: 5,
			Meta: map[string]string{metaCluster: "c", metaModel: "org/one", metaInstance: id, metaTerm: "7", metaSpec: `{"gpus":1,"max_concurrency":16,"kind":"trtllm","args":["--max_batch_size","256"]}`},
		}
		jobs = append(jobs, j)
		var a api.AllocationListStub
		if err := json.Unmarshal(crowdAllocation(k, 8), &a); err != nil {
			b.Fatal(err)
		}
		allocs = append(allocs, &a)
		if k%8 == 0 {
			n := &api.NodeListStub{ID: fmt.Sprint("n", k/8), Name: "gpu-" + id, Datacenter: "dc1", NodePool: "default", Status: "ready", SchedulingEligibility: "eligible", ModifyIndex: 4}
			n.NodeResources = &api.NodeResources{Devices: []*api.NodeDeviceResource{{Vendor: "nvidia", Type: "gpu"}}}
			for range 8 {
				n.NodeResources.Devices[0].Instances = append(n.NodeResources.Devices[0].Instances, &api.NodeDevice{Healthy: true})
			}
			nodes = append(nodes, n)
		}
	}
	answers := map[string][]byte{}
	for path, list := range map[string]any{"/v1/jobs": jobs, "/v1/allocations": allocs, "/v1/nodes": nodes, "/v1/evaluations": []int{}} {
		text, err := json.Marshal(list)
		if err != nil {
			b.Fatal(err)
		}
		answers[path] = text
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Nomad-Index", "10")
		w.Write(answers[r.URL.Path])
	}))
	b.Cleanup(server.Close)
	n, err := New(Config{Addr: server.URL, Cluster: "c", Namespace: "default"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(n.Close)
	return newWatch(n)
}

// crowdAllocation is an allocation as Nomad writes it, with the events of a start.
func crowdAllocation(k int, index uint64) []byte {
	events := make([]string, 0, 5)
	for _, kind := range []string{"Received", "Task Setup", "Driver", "Started"} {
		events = append(events, fmt.Sprintf(`{"Type":%q,"Time":1796000000000000000,"DisplayMessage":"%s by client","Details":{"message":"x","exit_code":""},"Message":"","FailsTask":false,"RestartReason":"","DriverError":"","ExitCode":0,"Signal":0}`, kind, kind))
	}
	return fmt.Appendf(nil, `{"ID":"a%d","EvalID":"e","Name":"x.engine[0]","Namespace":"default","NodeID":"n%d","NodeName":"gpu","JobID":"pilotlight-c-org-one-%d","TaskGroup":"engine",
"AllocatedResources":{"Tasks":{"engine":{"Cpu":{"CpuShares":500},"Memory":{"MemoryMB":1024},"Networks":null,"Devices":[{"Vendor":"nvidia","Type":"gpu","Name":"H100","DeviceIDs":["GPU-%d"]}]}},
"Shared":{"DiskMB":300,"Networks":[{"Mode":"host","IP":"10.0.0.1"}],"Ports":[{"Label":"engine","Value":20000,"To":0,"HostIP":"10.0.0.1"}]}},
"DesiredStatus":"run","DesiredDescription":"","ClientStatus":"running","ClientDescription":"Tasks are running",
"TaskStates":{"engine":{"State":"running","Failed":false,"Restarts":0,"Events":[%s]}},"CreateIndex":6,"ModifyIndex":%d,"CreateTime":1,"ModifyTime":2}`, k, k/8, k, k, strings.Join(events, ","), index)
}

var crowds = []int{100, 1000, 10000}

// BenchmarkWatch_Event is what one event of an allocation costs, from the stream's line to what is told.
func BenchmarkWatch_Event(b *testing.B) {
	for _, count := range crowds {
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			w := crowd(b, count)
			if err := w.step(b.Context(), func(fleet.Observation) {}); err != nil {
				b.Fatal(err)
			}
			told := 0
			for k := 0; b.Loop(); k++ {
				index := uint64(11 + k)
				text := crowdAllocation(k%count, index)
				if k/count%2 == 0 {
					text = []byte(strings.Replace(string(text), `"State":"running"`, `"State":"pending"`, 1))
				}
				e := event{Topic: api.TopicAllocation, Type: "AllocationUpdated", Index: index, Payload: fmt.Appendf(nil, `{"Allocation":%s}`, text)}
				if err := w.take(&batch{Index: index, Events: []event{e}}); err != nil {
					b.Fatal(err)
				}
				if err := w.step(b.Context(), func(o fleet.Observation) { told += len(o.Instances) }); err != nil {
					b.Fatal(err)
				}
			}
			if told != b.N {
				b.Errorf("%d events were told as %d changes", b.N, told)
			}
		})
	}
}

// BenchmarkWatch_Resync is what it costs to read everything and to tell it.
func BenchmarkWatch_Resync(b *testing.B) {
	for _, count := range crowds {
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			w := crowd(b, count)
			for b.Loop() {
				w.resync = true
				if err := w.step(b.Context(), func(o fleet.Observation) {
					if len(o.Instances) != count {
						b.Fatalf("%d instances are told, want %d", len(o.Instances), count)
					}
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWatch_Complete is what it costs to make a complete list of what is known.
func BenchmarkWatch_Complete(b *testing.B) {
	for _, count := range crowds {
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			w := crowd(b, count)
			if err := w.readAll(b.Context()); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				w.complete()
			}
		})
	}
}
