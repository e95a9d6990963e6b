package main

import (
	"os"
	"strings"
	"time"

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
	t := newTable("HOST", ">PROCESS", "ROLE", ">TERM", ">LAG", "CONFIG", "API", "ADMIN", "STARTED", "VERSION")
	for _, s := range servers {
		role, lag := "follows", (time.Duration(s.LagMS) * time.Millisecond).String()
		if s.Leader {
			role, lag = "leads", ""
		}
		t.row(s.Host, s.PID, role, s.Term, lag, s.Config, s.API, s.Admin, shortTime(&s.StartedAt), s.Version)
	}
	if err := t.write(env.Stdout); err != nil {
		return err
	}
	for _, s := range servers {
		if len(s.Differs) > 0 {
			env.say("%s (process %d) has another config than the server that leads: %s", s.Host, s.PID, strings.Join(s.Differs, "; "))
		}
	}
	return nil
}

// servers are those that this one knows: itself, and where it leads those that follow it.
func (s *server) servers() []admin.ServerInfo {
	all := []admin.ServerInfo{s.self()}
	if m := s.c.Member; m != nil {
		all[0].Config = m.part.Load().version
		all = append(all, m.followers()...)
	}
	return all
}

func (s *server) self() admin.ServerInfo {
	host, _ := os.Hostname() // without it, the process and the addresses still tell
	return admin.ServerInfo{
		Host: host, PID: os.Getpid(), Version: readVersion().Version, Leader: s.leads(), Term: s.term(),
		StartedAt: admin.Time{Time: s.opened}, API: s.c.API.Addr().String(), Admin: s.c.Admin.Addr().String(), Differs: []string{},
	}
}
