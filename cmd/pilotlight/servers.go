package main

import (
	"os"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// serverCmd holds the commands about servers.
type serverCmd struct {
	List serverListCmd `cmd:"" help:"List the servers of the cluster that the one asked knows, and which of them leads."`
}

type serverListCmd struct {
	serverFlags
	jsonFlag
}

// Run lists the servers.
func (c serverListCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	servers, err := client.Servers(env.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, servers)
	}
	t := newTable("HOST", ">PROCESS", "ROLE", ">TERM", "API", "ADMIN", "STARTED", "VERSION")
	for _, s := range servers {
		role := "waits"
		if s.Leader {
			role = "leads"
		}
		t.row(s.Host, s.PID, role, s.Term, s.API, s.Admin, shortTime(&s.StartedAt), s.Version)
	}
	return t.write(env.Stdout)
}

// servers are those that this one knows: itself.
func (s *server) servers() []admin.ServerInfo {
	host, _ := os.Hostname() // without it, the process and the addresses still tell
	return []admin.ServerInfo{{
		Host: host, PID: os.Getpid(), Version: readVersion().Version, Leader: s.c.Lead.leads(), Term: s.c.Lead.term,
		StartedAt: admin.Time{Time: s.opened}, API: s.c.API.Addr().String(), Admin: s.c.Admin.Addr().String(),
	}}
}
