package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// KeyPath is the Nomad Variable whose item slot_key is the key of every supervisor's API.
const KeyPath = "pilotlight/slots"

const keyItem = "slot_key"

// Errors of Do about slots.
var (
	ErrUnknownPool = errors.New("no such pool")
	ErrNoSlot      = errors.New("the slot does not run")
	ErrNoSlotKey   = errors.New("the slot key is missing")
)

// SlotJobName is the name of a slot's job. The job file says the same.
func SlotJobName(cluster, slot string) string { return "pilotlight-" + cluster + "-slot-" + slot }

// inSlot hands an act on an instance to the slot's supervisor.
func (n *Nomad) inSlot(ctx context.Context, act fleet.Act) error {
	if known := n.fence.now(); act.Term < known.term {
		return n.fencedBy(act.Term, known)
	}
	if lacks := n.slotLacks(act.Slot); act.Kind == fleet.ActLaunch && lacks != "" {
		return fmt.Errorf("slot %s was launched with another config (%s): %w", act.Slot, lacks, fleet.ErrPlaceClosed)
	}
	client, err := n.slotClient(ctx, act.Slot)
	if errors.Is(err, ErrNoSlot) && act.Kind == fleet.ActStop && !n.slots.has(act.Slot) {
		return nil // with the slot everything on it is gone
	}
	if err != nil {
		return blame(err)
	}
	act.Config = cmp.Or(act.Config, n.model(act.Model))
	return blameSlot(client.Do(ctx, act))
}

// has reports whether the slot is known, or may be.
func (s *slots) has(id string) bool {
	select {
	case <-s.read:
	default:
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[id] != nil
}

// slotLacks names what of the present config the slot lacks; "" = nothing. The config may have changed since it was last told.
func (n *Nomad) slotLacks(id string) string {
	n.slots.mu.Lock()
	defer n.slots.mu.Unlock()
	if e := n.slots.known[id]; e != nil {
		return n.outdated(e.Pool, e.spec)
	}
	return ""
}

// slotClient gives the client of the slot's supervisor, which hears the fence before anything else of ours. One that cannot be fenced now, because it
// does not answer or is too old to know of fences, is again the next time, and by each act's own term.
func (n *Nomad) slotClient(ctx context.Context, id string) (*slot.Client, error) {
	e, err := n.connectSlot(ctx, id)
	if err != nil {
		return nil, err
	}
	term := n.fence.now().term
	if e.fenced >= term {
		return e.client, nil
	}
	err = fenceSlot(ctx, e.client, term)
	switch {
	case errors.Is(err, fleet.ErrFenced):
		return nil, err
	case err != nil:
		n.log.Debug("a slot's supervisor is not fenced yet", "slot", id, "reason", err)
		return e.client, nil
	}
	n.slots.mu.Lock()
	defer n.slots.mu.Unlock()
	if e := n.slots.known[id]; e != nil {
		e.fenced = max(e.fenced, term)
	}
	return e.client, nil
}

// connectSlot gives the slot's entry, with a client.
func (n *Nomad) connectSlot(ctx context.Context, id string) (entry, error) {
	n.slots.mu.Lock()
	known := n.slots.known[id]
	var e entry
	if known != nil {
		e = *known
	}
	n.slots.mu.Unlock()
	if e.client != nil {
		return e, nil
	}
	if e.addr == "" {
		return e, fmt.Errorf("slot %s: %w", id, ErrNoSlot)
	}
	key, err := n.slotKey(ctx)
	if err != nil {
		return e, err
	}
	client, err := slot.NewClient(slot.ClientConfig{Addr: e.addr, Key: key, Plain: e.plain, Models: n.serving.Load().list})
	if err != nil {
		return e, err
	}
	n.slots.mu.Lock()
	defer n.slots.mu.Unlock()
	if known.client == nil {
		known.client = client
	}
	return *known, nil
}

// slotKey reads the key of the supervisors' APIs.
func (n *Nomad) slotKey(ctx context.Context) (key string, err error) {
	err = within(ctx, func(ctx context.Context) error {
		variable, _, err := n.client.Variables().Peek(KeyPath, n.query(ctx))
		if err != nil {
			return fmt.Errorf("reading the slot key: %w", needs(err, "read of the variable "+KeyPath))
		}
		if variable != nil {
			key = variable.Items[keyItem]
		}
		return nil
	})
	if err == nil && len(key) < slot.MinKey {
		err = fmt.Errorf("%w: nomad var put -namespace %s %s %s=\"$(openssl rand -hex 32)\"", ErrNoSlotKey, n.cfg.Namespace, KeyPath, keyItem)
	}
	return key, err
}

// addSlot registers the job of a slot.
func (n *Nomad) addSlot(ctx context.Context, act fleet.Act) error {
	pool, ok := n.pool(act.Pool)
	if !ok {
		return fmt.Errorf("%w: %s", ErrUnknownPool, act.Pool)
	}
	name := SlotJobName(n.cfg.Cluster, act.Slot)
	known, err := n.job(ctx, name, metaSlot, act.Slot)
	switch {
	case err != nil:
		return err
	case known != nil:
		return nil // said before; whoever watches learns what has become of it
	}
	if _, err := n.slotKey(ctx); err != nil {
		return err // or its task would wait for the key, and hold GPUs
	}
	text, err := n.renderSlot(pool, act)
	if err != nil {
		return fmt.Errorf("%w: %w", errFile, err)
	}
	if err := n.register(ctx, submission{text, name, metaSlot, act.Slot, act}); err != nil {
		return err
	}
	n.slots.mu.Lock()
	defer n.slots.mu.Unlock()
	n.slots.add(fleet.Slot{ID: act.Slot, Pool: act.Pool, GPUs: act.GPUs, Host: pool.HostMemory})
	n.slots.notify()
	return nil
}

// dropSlot stops the job of a slot; what is parked there ends with it.
func (n *Nomad) dropSlot(ctx context.Context, act fleet.Act) error {
	name := SlotJobName(n.cfg.Cluster, act.Slot)
	known, err := n.job(ctx, name, metaSlot, act.Slot)
	if err != nil || known == nil || known.Stop != nil && *known.Stop {
		return err
	}
	n.slots.mu.Lock()
	if e := n.slots.known[act.Slot]; e != nil {
		e.given = true
	}
	n.slots.mu.Unlock()
	return n.deregister(ctx, name)
}
