package admin

import (
	"bytes"
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func (s *Server) listPools(c *fiber.Ctx) error {
	now := s.c.Fleet.Snapshot()
	return c.JSON(poolList{each(now.Pools, func(p fleet.PoolStatus) Pool { return s.poolView(now, p) })})
}

// answerPool answers with the pool that the path names.
func (s *Server) answerPool(c *fiber.Ctx) error {
	name, err := param(c)
	if err != nil {
		return err
	}
	now := s.c.Fleet.Snapshot()
	for _, p := range now.Pools {
		if p.Pool.Name == name {
			return c.JSON(s.poolView(now, p))
		}
	}
	return openai.NewError(openai.CodeNotFound, "there is no pool of this name; /api/pools lists them all")
}

func (s *Server) showPool(c *fiber.Ctx) error { return s.answerPool(c) }

// tunePool changes settings of a pool, and answers with the pool as it is from then on.
func (s *Server) tunePool(c *fiber.Ctx) error {
	name, err := param(c)
	if err != nil {
		return err
	}
	if !s.hasPool(name) {
		return s.answerPool(c)
	}
	changes, err := readSettings(c.Request().Body())
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	if err := s.c.Tuner.Tune(ctx, name, changes); err != nil {
		return err
	}
	return s.answerPool(c)
}

func (s *Server) hasPool(name string) bool {
	for _, p := range s.c.Fleet.Snapshot().Pools {
		if p.Pool.Name == name {
			return true
		}
	}
	return false
}

// readSettings reads an object of settings: numbers, texts, or null, which is the empty text and resets. Those of a block are an object of their own
// ("slots": {"min": 1}), whose keys are joined ("slots.min"). Which settings there are is for the tuner to say.
func readSettings(body []byte) (map[string]string, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, openai.NewError(openai.CodeInvalidRequest, "the body is empty; send a JSON object")
	}
	settings := map[string]string{}
	return settings, addSettings(settings, "", body)
}

func addSettings(settings map[string]string, prefix string, object []byte) error {
	members, err := edge.Members(object)
	if err != nil {
		return err
	}
	for _, m := range members {
		key, value := prefix+m.Name, m.Value
		switch {
		case value[0] == '{' && prefix == "":
			if err := addSettings(settings, key+".", value); err != nil {
				return err
			}
		case value[0] == '{' || value[0] == '[' || value[0] == 't' || value[0] == 'f':
			return edge.Invalid(key, "is %s; write a number, a text, or null to reset it", value)
		default:
			settings[key] = settingText(value)
		}
	}
	return nil
}

// settingText gives a number, a string or null as text.
func settingText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil { // null too, which leaves it empty
		return text
	}
	return string(value)
}

func (s *Server) poolView(now *fleet.Snapshot, status fleet.PoolStatus) Pool {
	p := status.Pool
	return Pool{
		Name: p.Name, GPUsPerSlot: p.GPUsPerSlot, NodePool: p.NodePool, HostMemory: p.HostMemory.String(),
		MaxParkedPerGPU: p.MaxParkedPerGPU, ParkedGPUMemory: p.ParkedGPUMemory.String(), LatencyWeight: p.LatencyWeight,
		SlotIdle: fleet.FormatDuration(p.SlotIdle), Slots: Range(p.Slots), Tuned: same(s.c.Tuner.Tuned(p.Name)),
		Live: each(status.Slots, func(l fleet.SlotStatus) Slot { return slotView(now, p, l) }),
	}
}

func slotView(now *fleet.Snapshot, p fleet.Pool, l fleet.SlotStatus) Slot {
	limit := l.Host
	if limit == 0 {
		limit = p.HostMemory
	}
	return Slot{
		ID: l.ID, Node: l.Node, GPUs: l.GPUs, Pending: l.Pending, Outdated: l.Outdated, Occupants: same(l.Occupants), Parked: same(l.Sleepers),
		Reserved:   each(l.Reserved, func(r fleet.Reservation) Reservation { return Reservation(r) }),
		HostMemory: limit.String(), ParkedMemory: parkedMemory(now, l.Sleepers).String(),
	}
}

// parkedMemory gives the host memory that instances take: what they were launched with, where that is known.
func parkedMemory(now *fleet.Snapshot, ids []string) (sum fleet.Bytes) {
	takes, configured := map[string]fleet.Bytes{}, modelsByID(now) // instance -> bytes
	for _, i := range now.Instances {
		if i.Spec != nil {
			takes[i.ID] = i.Spec.ParkedMemory
		} else if m := configured[i.Model]; m != nil {
			takes[i.ID] = m.ParkedMemory
		}
	}
	for _, id := range ids {
		sum += takes[id]
	}
	return sum
}
