package admin

import "github.com/gofiber/fiber/v2"

// ServerInfo is one server of the cluster.
type ServerInfo struct {
	Host      string `json:"host"`
	PID       int    `json:"pid"`
	Version   string `json:"version"`
	Leader    bool   `json:"leader"` // it decides; the term is its own
	Term      uint64 `json:"term"`   // 0 = it has never led
	StartedAt Time   `json:"started_at"`
	API       string `json:"api"`   // where its public API listens
	Admin     string `json:"admin"` // where its admin API listens

	Config  string   `json:"config"`  // version of its config; "" = it is the only server
	LagMS   int64    `json:"lag_ms"`  // since the server that leads has heard it last; 0 = it is that one
	Differs []string `json:"differs"` // what of its config differs from that of the server that leads
}

type serverList struct {
	Servers []ServerInfo `json:"servers"`
}

func (s *Server) listServers(c *fiber.Ctx) error {
	list := serverList{Servers: []ServerInfo{}}
	if s.c.Servers != nil {
		list.Servers = append(list.Servers, s.c.Servers()...)
	}
	return c.JSON(list)
}
