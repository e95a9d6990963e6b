//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
	nomadjobs "github.com/pilotlight-io/pilotlight/nomad-jobs"
)

// TestSlotJob_SwapsModelsOnARealNomad runs the job file through raw_exec, as an operator would.
func TestSlotJob_SwapsModelsOnARealNomad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Nomad and Consul; not in short runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds both
	defer cancel()
	all, err := cluster.Start(ctx, cluster.Config{Nodes: 1, GPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := all.Stop(); err != nil {
			t.Error(err)
		}
	})
	n := nomadServer{t, all.Nomad.Addr}
	n.ask(http.MethodPut, "/v1/var/pilotlight/slots", map[string]any{"Items": map[string]string{"slot_key": testSlotKey}}, nil)
	job, err := nomadjobs.Render(nomadjobs.Slot, nomadjobs.Values{
		"slot": "s", "gpus": 2, "driver": "raw_exec", "program": os.Args[0], "env": map[string]string{asProgram: "1"},
		"consul": all.Nodes[0].Consul.Addr, "memory": 1024, "cpu": 500,
	})
	if err != nil {
		t.Fatal(err)
	}
	addr := n.run(job)

	one, two := simModel("meta-llama/Meta-Llama-3-8B-Instruct", 1), simModel("mistralai/Mixtral-8x7B-Instruct-v0.1", 2)
	client, err := slot.NewClient(slot.ClientConfig{Addr: addr, Key: testSlotKey, Models: []*fleet.Model{one, two}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s := &slotServer{Client: client, t: t, said: make(chan fleet.Observation, 1000)}
	eventually(t, time.Minute, func() string {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err.Error()
		}
		conn.Close()
		return ""
	})
	s.follow()
	passing := n.follow(all.Consul.Addr)
	s.act(fleet.ActLaunch, "i1", one)
	o := s.until("i1", inState(fleet.Ready))
	if nodes := n.nodes(); len(nodes) != 1 || o.Slots[0].Node != nodes[0].ID || o.Slots[0].Pool != "h100" {
		t.Errorf("got slot %+v, want it on %+v in pool h100", o.Slots[0], nodes)
	}
	passing("i1", true)
	s.act(fleet.ActPark, "i1", one)
	s.until("i1", inState(fleet.Asleep))
	passing("i1", false)
	s.act(fleet.ActLaunch, "i2", two)
	s.until("i2", inState(fleet.Ready))
	passing("i2", true)
	s.act(fleet.ActPark, "i2", two)
	s.until("i2", inState(fleet.Asleep))
	s.act(fleet.ActResume, "i1", one)
	s.until("i1", inState(fleet.Ready))
	passing("i1", true)

	n.ask(http.MethodDelete, "/v1/job/pilotlight-default-slot-s", nil, nil)
	gone := map[string]bool{}
	for _, id := range []string{"i1", "i2"} { // in any order
		if !gone[id] {
			s.until(id, func(i fleet.Sighting) bool {
				gone[i.ID] = gone[i.ID] || i.Gone
				return i.Gone
			})
		}
	}
	eventually(t, time.Minute, func() string {
		if got := n.status("pilotlight-default-slot-s"); got != "complete" {
			return "its allocation is " + got
		}
		return ""
	})
}

// nomadServer is a Nomad that is asked over HTTP.
type nomadServer struct {
	t    *testing.T
	addr string
}

func (n nomadServer) ask(method, path string, question, answer any) {
	n.t.Helper()
	body, err := json.Marshal(question)
	if err != nil {
		n.t.Fatal(err)
	}
	req, err := http.NewRequest(method, n.addr+path, bytes.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		n.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
	if answer == nil {
		return
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		n.t.Fatal(err)
	}
}

// run registers the job and gives the address of its port "api", once Nomad has placed it.
func (n nomadServer) run(text string) (addr string) {
	n.t.Helper()
	var job map[string]any
	n.ask(http.MethodPost, "/v1/jobs/parse", map[string]any{"JobHCL": text, "Canonicalize": true}, &job)
	n.ask(http.MethodPost, "/v1/jobs", map[string]any{"Job": job}, nil)
	eventually(n.t, time.Minute, func() string {
		var list []struct{ ID, ClientStatus string }
		n.ask(http.MethodGet, path.Join("/v1/job", job["ID"].(string), "allocations"), nil, &list)
		if len(list) != 1 || list[0].ClientStatus != "running" {
			return fmt.Sprintf("allocations: %+v", list)
		}
		var a struct {
			AllocatedResources struct {
				Shared struct {
					Ports []struct {
						HostIP string
						Value  int
					}
				}
			}
		}
		n.ask(http.MethodGet, "/v1/allocation/"+list[0].ID, nil, &a)
		p := a.AllocatedResources.Shared.Ports[0]
		addr = net.JoinHostPort(p.HostIP, fmt.Sprint(p.Value))
		return ""
	})
	return addr
}

// status gives how the one allocation of a job stands.
func (n nomadServer) status(job string) string {
	var list []struct{ ClientStatus string }
	n.ask(http.MethodGet, path.Join("/v1/job", job, "allocations"), nil, &list)
	if len(list) != 1 {
		return fmt.Sprintf("%d allocations", len(list))
	}
	return list[0].ClientStatus
}

func (n nomadServer) nodes() (nodes []struct{ ID string }) {
	n.ask(http.MethodGet, "/v1/nodes", nil, &nodes)
	return nodes
}

// follow watches Consul, and gives what waits until it finds an instance passing, or not.
func (n nomadServer) follow(addr string) (passing func(instance string, want bool)) {
	c, err := consul.New(consul.Config{Addr: addr, Cluster: "default", Wait: 2 * time.Second, Settle: time.Nanosecond})
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	said := make(chan fleet.Observation, 1000)
	var watching sync.WaitGroup
	watching.Go(func() { c.Watch(ctx, func(o fleet.Observation) { said <- o }) })
	n.t.Cleanup(func() { cancel(); watching.Wait() })
	return func(instance string, want bool) {
		n.t.Helper()
		for deadline := time.After(time.Minute); ; {
			select {
			case o := <-said:
				for _, i := range o.Instances {
					if i.ID == instance && (i.Health == fleet.Passing) == want {
						return
					}
				}
			case <-deadline:
				n.t.Fatalf("Consul did not come to find %s passing: %t", instance, want)
			}
		}
	}
}
