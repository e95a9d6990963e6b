//go:build unix

package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/config"
)

// furnish writes the files that a server on the cluster needs, and prints what to type next.
func (c *cli) furnish(p *place, running *cluster.Cluster) error {
	api, admin, err := addresses()
	if err != nil {
		return err
	}
	if err := p.write(configFile, c.config(p, running, api, admin)); err != nil {
		return err
	}
	env := fmt.Sprintf(`export PATH=%s:"$PATH"
export NOMAD_ADDR=%s
export CONSUL_HTTP_ADDR=%s
export PILOTLIGHT_ADMIN_TOKEN=%s
export PILOTLIGHT_ADDR=http://%s
export PILOTLIGHT_API=http://%s/v1
`, quote(p.join(binDir)), running.Nomad.Addr, running.Consul.Addr, rand.Text(), admin, api)
	if err := p.write(envFile, env); err != nil {
		return err
	}
	_, err = fmt.Print(c.instructions(p, running))
	return err
}

// addresses gives Pilotlight's own, 8080 and 8081, where both are free, and otherwise any.
func addresses() (api, admin string, err error) {
	for _, ports := range [][2]int{{8080, 8081}, {0, 0}} {
		var bound [2]net.Listener
		for i, port := range ports {
			if bound[i], err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
				break
			}
			defer bound[i].Close() // not sooner, or both might get the same
		}
		if err == nil {
			return bound[0].Addr().String(), bound[1].Addr().String(), nil
		}
	}
	return "", "", fmt.Errorf("finding addresses for the server: %w", err)
}

// config offers the whole catalogue, each model as a Nomad job that runs the simulator with the model's own command line.
func (c *cli) config(p *place, running *cluster.Cluster, api, admin string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Written by the demo cluster: the eight published models on Nomad, with simulated engines.
api {
  addr = %q
}
admin {
  addr = %q
}
backend "nomad" {
  addr = %q
  consul {
    addr = %q
  }
}
`, api, admin, running.Nomad.Addr, running.Consul.Addr)
	for _, m := range config.Catalogue() {
		args := append(m.Engine.Args, "--sim-speed", strconv.FormatFloat(c.SimSpeed, 'g', -1, 64), "--sim-container-start", "0s")
		fmt.Fprintf(&b, `model %q {
  idle_after = %q
  engine "sim" {
    driver  = "raw_exec"
    command = [%q]
    args    = [%s]
  }
}
`, m.ID, c.IdleAfter, p.join(binDir)+"/trtsim", list(args))
	}
	return b.String()
}

func list(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return strings.Join(quoted, ", ")
}

// instructions are for a person. What is to be typed is indented by four; the demo's test types it.
func (c *cli) instructions(p *place, running *cluster.Cluster) string {
	env := quote(p.join(envFile))
	return fmt.Sprintf(`
Nomad runs at %[1]s and Consul at %[2]s, with %[3]d nodes of %[4]d simulated H100s each.

The server, in a second terminal:

    . %[5]s
    pilotlight serve --config %[6]s

A caller and an operator, in a third:

    . %[5]s
    pilotlight org create demo
    export PILOTLIGHT_TOKEN=$(pilotlight token create --org demo)
    curl -N "$PILOTLIGHT_API/chat/completions" -H "Authorization: Bearer $PILOTLIGHT_TOKEN" -H "Content-Type: application/json" \
      -d '{"model": "meta-llama/Meta-Llama-3-8B-Instruct", "stream": true, "max_tokens": 60, "messages": [{"role": "user", "content": "What is a pilot light?"}]}'
    pilotlight model list
    nomad job status
    consul catalog nodes -service pilotlight-engine

A model goes back to zero %[7]s after its last request. Ctrl-C here stops everything, engines too, and removes what was made for it.
`, running.Nomad.Addr, running.Consul.Addr, c.Nodes, c.GPUs, env, quote(p.join(configFile)), c.IdleAfter)
}

// quote makes one word of a path for a shell.
func quote(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(plain, r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,"
