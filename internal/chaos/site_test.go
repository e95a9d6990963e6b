//go:build linux

package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// size is how many of each the installation has.
type size struct{ Controls, Nodes, Servers int }

// site is the installation.
type site struct {
	size
	programs

	controls, nodes []*machine // with servers of Nomad and Consul; with GPUs
	consuls         map[*machine]*process
	nomads          map[*machine]*process
	lights          []*light
	postgres        *storetest.Server
	database, dir   string
	gpus            string // the engines' common account of GPU memory
	store           *proxy
	token           string // of the clients
	client          *http.Client
}

// newSite starts all but the Pilotlights.
func newSite(t *testing.T, p programs, dir string, n size) *site {
	t.Helper()
	s := &site{size: n, programs: p, dir: dir, gpus: filepath.Join(dir, "gpus"), consuls: map[*machine]*process{}, nomads: map[*machine]*process{}}
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	must(t, os.Mkdir(s.gpus, 0o777))
	must(t, os.Chmod(s.gpus, 0o777)) // engines are other users'
	s.startPostgres(t)
	newBridge(t)
	for i := range n.Controls {
		s.controls = append(s.controls, newMachine(t, dir, fmt.Sprint("control", i+1), 11+i))
	}
	for i := range n.Nodes {
		s.nodes = append(s.nodes, newMachine(t, dir, fmt.Sprint("node", i+1), 31+i))
	}
	for _, m := range s.controls {
		s.consuls[m] = consulAgent(t, p.Consul, m, s.controls)
		s.nomads[m] = nomadServer(t, p.Nomad, m, s.controls)
	}
	for _, m := range s.nodes {
		s.consuls[m] = consulAgent(t, p.Consul, m, s.controls)
		s.nomads[m] = nomadClient(t, p, m, s.controls, s.gpus)
	}
	s.startAgents(t)
	s.store = newProxy(t, s.socket())
	for i := range n.Servers {
		s.lights = append(s.lights, newLight(t, s, newMachine(t, dir, fmt.Sprint("server", i+1), 51+i)))
	}
	return s
}

// startAgents starts Consul and Nomad, and waits until all nodes are ready.
func (s *site) startAgents(t *testing.T) {
	t.Helper()
	for _, agents := range []map[*machine]*process{s.consuls, s.nomads} {
		for _, a := range agents {
			must(t, a.start())
		}
	}
	s.eventually(t, 2*time.Minute, func() error {
		var nodes []struct {
			Name, Status  string
			NodeResources struct {
				Devices []struct{ Instances []struct{ Healthy bool } }
			}
		}
		if err := s.askNomad(http.MethodGet, "/v1/nodes?resources=true", nil, &nodes); err != nil {
			return err
		}
		ready := 0
		for _, n := range nodes {
			if n.Status == "ready" && len(n.NodeResources.Devices) == 1 && len(n.NodeResources.Devices[0].Instances) == 8 {
				ready++
			}
		}
		if ready != len(s.nodes) {
			return fmt.Errorf("%d of %d nodes are ready", ready, len(s.nodes))
		}
		return nil
	})
	s.eventually(t, time.Minute, func() error {
		var members []struct{ Status int }
		if err := s.askConsul("/v1/agent/members", &members); err != nil {
			return err
		}
		if len(members) != len(s.controls)+len(s.nodes) {
			return fmt.Errorf("Consul has %d members", len(members))
		}
		return nil
	})
	s.eventually(t, time.Minute, func() error { // its keyring comes after its leader
		return s.askNomad(http.MethodPut, "/v1/var/pilotlight/slots", map[string]any{"Items": map[string]string{"slot_key": "a key of no fewer than 24 characters"}}, nil)
	})
}

// startPostgres starts the store, in this process's own namespace: it is reached through a proxy only.
func (s *site) startPostgres(t *testing.T) {
	t.Helper()
	server, err := storetest.Start()
	must(t, err)
	t.Cleanup(func() { server.Close() })
	s.postgres, s.database = server, "chaos"
	must(t, server.Exec("postgres", "CREATE DATABASE chaos TEMPLATE template0"))
}

// askNomad asks the first Nomad server that answers.
func (s *site) askNomad(method, path string, question, answer any) error {
	var err error
	for _, m := range s.controls {
		if err = s.ask(method, "http://"+m.address(nomadPort)+path, question, answer); err == nil {
			return nil
		}
	}
	return err
}

// askConsul asks the first Consul server that answers.
func (s *site) askConsul(path string, answer any) error {
	var err error
	for _, m := range s.controls {
		if err = s.ask(http.MethodGet, "http://"+m.address(consulPort)+path, nil, answer); err == nil {
			return nil
		}
	}
	return err
}

func (s *site) ask(method, url string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil || question == nil {
		body = nil
	}
	request, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", url, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// leaderOf is the machine with the leading server of Nomad or Consul; nil = nobody says.
func (s *site) leaderOf(agents map[*machine]*process) *machine {
	for _, m := range s.controls {
		port := nomadPort
		if agents[m] == s.consuls[m] {
			port = consulPort
		}
		var leader string
		if s.ask(http.MethodGet, "http://"+m.address(port)+"/v1/status/leader", nil, &leader) != nil {
			continue
		}
		for _, l := range s.controls {
			if len(leader) > len(l.ip) && leader[:len(l.ip)+1] == l.ip+":" {
				return l
			}
		}
	}
	return nil
}

// everybody are all processes that were started to stay.
func (s *site) everybody() (all []*process) {
	for _, agents := range []map[*machine]*process{s.consuls, s.nomads} {
		for _, a := range agents {
			all = append(all, a)
		}
	}
	for _, l := range s.lights {
		all = append(all, l.process)
	}
	return all
}

// eventually waits until check gives nil, at most for so long; else the test ends.
func (s *site) eventually(t *testing.T, most time.Duration, check func() error) {
	t.Helper()
	if err := within(most, check); err != nil {
		t.Fatal(err)
	}
}

// within waits until check gives nil, at most for so long, and gives what it said last.
func within(most time.Duration, check func() error) error {
	deadline := time.Now().Add(most)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v still: %w", most, err)
		}
		time.Sleep(100 * time.Millisecond) // a poll of other processes, bounded by the deadline
	}
}
