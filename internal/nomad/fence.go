package nomad

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

var errTerm = errors.New("not a term")

// FencePath is the Nomad Variable that holds the highest term of a cluster's servers.
func FencePath(cluster string) string { return "pilotlight/fence/" + cluster }

const (
	termItem = "term"

	fenceWithin = 3 * time.Second // of one supervisor
	fenceAtOnce = 8               // supervisors
)

// takeover is the highest term of the cluster's servers, and Nomad's index when it became that. A job that an older server has registered later than
// that is void: whoever sees it stops it.
//
//	server of term 5        Nomad                       server of term 6
//	read the fence    ◄──── 5
//	                        6, at index 40       ◄───── Fence(6)
//	register a job    ────► created at index 41
//	read the fence    ◄──── 6, at 40: 41 is later
//	stop the job      ────►                      ◄───── or else: 41 is later, stop the job
type takeover struct{ term, index uint64 }

// voids reports whether a job does not count that was created at an index of Nomad by the server of a term. Jobs from before the takeover are
// everybody's, and jobs by hand have no term.
func (t takeover) voids(term, index uint64) bool {
	return term > 0 && term < t.term && index > t.index
}

// fence is the last takeover that is known.
type fence struct {
	mu   sync.Mutex // guards last
	last takeover
}

// raise notes a takeover. An older one changes nothing.
func (f *fence) raise(t takeover) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.term > f.last.term {
		f.last = t
	}
}

func (f *fence) now() takeover {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// overrules reports whether the job was submitted by an older server after a newer one had taken over.
func (f *fence) overrules(j *job) bool { return f.now().voids(parseTerm(j.Meta), j.CreateIndex) }

// Fence refuses acts of older terms from its return on: here and by all servers of the cluster, which look at a Nomad Variable. A job that such a
// server registers all the same is stopped, by that server or by Watch. A slot whose supervisor cannot be reached now is fenced when it is
// reached again, or by an act's own term. The error wraps fleet.ErrFenced where a newer server has been there.
func (n *Nomad) Fence(ctx context.Context, term uint64) error {
	err := patiently(ctx, func(ctx context.Context) error { return n.raiseFence(ctx, term) })
	if err == nil {
		err = n.fenceSlots(ctx)
	}
	if err != nil {
		return fmt.Errorf("fencing off terms before %d: %w", term, blame(err))
	}
	return nil
}

// raiseFence writes the term where every server looks, unless there is a higher one.
func (n *Nomad) raiseFence(ctx context.Context, term uint64) error {
	for {
		known, err := n.readFence(ctx)
		if err != nil {
			return err
		}
		n.fence.raise(known)
		if known.term > term {
			return n.fencedBy(term, known)
		}
		if known.term == term && known.index > 0 {
			return nil
		}
		v := &api.Variable{
			Namespace: n.cfg.Namespace, Path: FencePath(n.cfg.Cluster), ModifyIndex: known.index,
			Items: api.VariableItems{termItem: strconv.FormatUint(term, 10)},
		}
		var conflict api.ErrCASConflict
		_, _, err = n.client.Variables().CheckedUpdate(v, n.write(ctx))
		if err != nil && !errors.As(err, &conflict) { // what was written is read back, so that its index is known
			return fmt.Errorf("writing the term: %w", needs(err, "write of the variable "+v.Path))
		}
	}
}

// readFence is the fence as Nomad has it.
func (n *Nomad) readFence(ctx context.Context) (takeover, error) {
	path := FencePath(n.cfg.Cluster)
	v, _, err := n.client.Variables().Peek(path, n.query(ctx))
	if err != nil {
		return takeover{}, fmt.Errorf("reading the term: %w", needs(err, "read of the variable "+path))
	}
	if v == nil {
		return takeover{}, nil
	}
	term, err := strconv.ParseUint(v.Items[termItem], 10, 64)
	if err != nil {
		return takeover{}, fmt.Errorf("%w: the variable %s has %q; write a number, or purge it", errTerm, path, v.Items[termItem])
	}
	return takeover{term, v.ModifyIndex}, nil
}

// Term is the highest term that a server of the cluster has fenced with; 0 = none has.
func (n *Nomad) Term(ctx context.Context) (term uint64, err error) {
	err = patiently(ctx, func(ctx context.Context) error {
		known, err := n.readFence(ctx)
		n.fence.raise(known)
		term = known.term
		return err
	})
	return term, blame(err)
}

func (n *Nomad) fencedBy(term uint64, t takeover) error {
	return fmt.Errorf("%w: this one's term is %d, and %s holds %d", fleet.ErrFenced, term, FencePath(n.cfg.Cluster), t.term)
}

// admit refuses an act of an older term than the fence. Nomad is asked only once there has been a fence: without one, no server minds terms.
func (n *Nomad) admit(ctx context.Context, act fleet.Act) error {
	known := n.fence.now()
	if known.term == 0 {
		return nil
	}
	if act.Term >= known.term {
		var err error
		if known, err = n.readFence(ctx); err != nil {
			return err
		}
		n.fence.raise(known)
	}
	if act.Term < known.term {
		return n.fencedBy(act.Term, known)
	}
	return nil
}

// confirm undoes the registration of a job that a newer server's fence has come before.
func (n *Nomad) confirm(ctx context.Context, act fleet.Act, name string, index uint64) error {
	if n.fence.now().term == 0 {
		return nil
	}
	known, err := n.readFence(ctx)
	if err != nil {
		return err
	}
	n.fence.raise(known)
	if !known.voids(act.Term, index) {
		return nil
	}
	if err := n.deregister(ctx, name); err != nil {
		return err
	}
	return n.fencedBy(act.Term, known)
}

// fenceSlots has every supervisor that can be reached refuse acts of older terms. It fails only where one knows a newer term.
func (n *Nomad) fenceSlots(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(fenceAtOnce)
	for _, id := range n.slots.running() {
		g.Go(func() error {
			if _, err := n.slotClient(ctx, id); errors.Is(err, fleet.ErrFenced) {
				return fmt.Errorf("slot %s: %w", id, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// running are the IDs of the slots whose supervisors have an address.
func (s *slots) running() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, e := range s.known {
		if e.addr != "" && !e.gone {
			ids = append(ids, id)
		}
	}
	return ids
}

// fenceSlot has one supervisor refuse acts of older terms.
func fenceSlot(ctx context.Context, client *slot.Client, term uint64) error {
	ctx, cancel := context.WithTimeout(ctx, fenceWithin)
	defer cancel()
	return blameSlot(client.Fence(ctx, term))
}
