package slot

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Config is what a Slot needs. ID and Dir are required, and Models unless every act comes through an API, which brings the model along.
type Config struct {
	ID     string // the slot's name in observations and acts
	Source string // of its observations; "" = "slot"
	Node   string // the machine's name
	Pool   string
	GPUs   int
	// Devices names the GPUs as CUDA_VISIBLE_DEVICES wants them, in the order of the slot's own numbers; nil = "0", "1", …
	Devices    []string
	HostMemory fleet.Bytes // for parked engines, counted as Model.ParkedMemory; 0 = no limit
	Dir        string      // holds engines/: logs and process files; one supervisor at a time
	Self       string      // the program that is the simulator when run with "trtsim"; "" = kind sim needs a command
	Host       string      // IP address that engines listen on; "" = 127.0.0.1
	User       *User       // whom engines run as; nil = the supervisor's own user. Only root can have another
	PassEnv    []string    // names of variables of this process that engines have too, beyond those that say where libraries are and how engines run
	EngineEnv  []string    // "NAME=value" that engines have beside; a model's own wins
	Ports      fleet.Range // of engines; zero = 20000 to 32767, below what the kernel gives to outgoing connections
	Models     []*fleet.Model
	KeepTerm   bool              // over restarts of the supervisor: where those who watch outlive it
	GPUMemory  fleet.Bytes       // of each GPU; 0 = that of an H100 of 80 GB
	Grace      time.Duration     // between SIGTERM and SIGKILL; 0 = 30 s
	Health     engine.HealthRule // by which an engine hangs; zero = engine's own
	MoveWithin time.Duration     // a park or resume that takes longer hangs, and its engine is killed; 0 = 60 s
	// FirstToken is how long an engine that has been resumed may take for a token before it is called ready without one: it has generated before, and whoever
	// waits gains nothing by waiting for that token first. One that refuses the token sooner is never called ready. 0 = 3 ms.
	FirstToken time.Duration
	Gauge      *Gauge       // reads what parks and resumes free; nil = they are taken at their word
	Log        *slog.Logger // nil: discard
}

func (c *Config) complete() error {
	if c.ID == "" || c.Dir == "" {
		return errors.New("a slot needs an id and a directory")
	}
	if c.Source == "" {
		c.Source = "slot"
	}
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(c.Host); err != nil {
		return fmt.Errorf("host of engines: %w", err)
	}
	if c.Ports == (fleet.Range{}) {
		c.Ports = fleet.Range{Min: 20000, Max: 32767}
	}
	if c.Ports.Min < 1 || c.Ports.Max > 65535 || c.Ports.Min > c.Ports.Max {
		return fmt.Errorf("engines' ports from %d to %d", c.Ports.Min, c.Ports.Max)
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	if c.MoveWithin == 0 {
		c.MoveWithin = time.Minute
	}
	if c.FirstToken == 0 {
		c.FirstToken = 3 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.GPUs < 0 || c.Devices != nil && len(c.Devices) != c.GPUs {
		return fmt.Errorf("%d GPUs, but %d devices", c.GPUs, len(c.Devices))
	}
	for n := len(c.Devices); n < c.GPUs; n++ {
		c.Devices = append(c.Devices, strconv.Itoa(n))
	}
	return nil
}
