package nomad

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// ServersKeyPath is the Nomad Variable whose item servers_key is the key by which the servers of a cluster know each other.
func ServersKeyPath(cluster string) string { return "pilotlight/servers/" + cluster }

const serversKeyItem = "servers_key"

// ServersKey gives the servers key of the cluster. The first server that asks makes it.
func (n *Nomad) ServersKey(ctx context.Context) (key string, err error) {
	path := ServersKeyPath(n.cfg.Cluster)
	err = within(ctx, func(ctx context.Context) error {
		for {
			known, _, err := n.client.Variables().Peek(path, n.query(ctx))
			if err != nil {
				return fmt.Errorf("reading the servers key: %w", needs(err, "read of the variable "+path))
			}
			if known != nil && known.Items[serversKeyItem] != "" {
				key = known.Items[serversKeyItem]
				return nil
			}
			v := &api.Variable{Namespace: n.cfg.Namespace, Path: path, Items: api.VariableItems{serversKeyItem: rand.Text() + rand.Text()}}
			if known != nil {
				v.ModifyIndex = known.ModifyIndex
			}
			var conflict api.ErrCASConflict
			if _, _, err = n.client.Variables().CheckedUpdate(v, n.write(ctx)); err != nil && !errors.As(err, &conflict) { // who was first is read
				return fmt.Errorf("making the servers key: %w", needs(err, "write of the variable "+path))
			}
		}
	})
	return key, blame(err)
}
