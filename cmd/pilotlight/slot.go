package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// slotCmd supervises the engines of one slot and offers them to a server elsewhere. It needs no config: what is launched comes with
// the order.
type slotCmd struct {
	ID         string        `required:"" name:"id" placeholder:"SLOT" help:"The slot's name."`
	GPUs       int           `required:"" name:"gpus" placeholder:"N" help:"GPUs of the slot."`
	Addr       string        `required:"" placeholder:"IP:PORT" help:"Address of its API; engines listen on the same IP."`
	Dir        string        `required:"" placeholder:"DIR" complete:"dir" help:"Where the engines' logs and process files go."`
	Pool       string        `placeholder:"POOL" help:"The pool that it belongs to."`
	Node       string        `placeholder:"NODE" help:"The machine that it is on (default: the host's name)."`
	Cluster    string        `default:"default" help:"The Pilotlight that it belongs to."`
	KeyEnv     string        `name:"key-env" default:"PILOTLIGHT_SLOT_KEY" placeholder:"NAME" help:"Environment variable that holds the key of its API, where --secrets names no file with slot_key."`
	Secrets    string        `placeholder:"FILE" complete:"file" help:"File of lines NAME=value that is read once and removed: slot_key is the key of its API, others are variables for the supervisor alone."`
	EngineUser string        `name:"engine-user" placeholder:"USER" help:"Whom engines run as, a name or a number; same: as the supervisor (default: nobody where that is root, else the same)."`
	EngineEnv  []string      `name:"engine-env" placeholder:"FILE" complete:"file" sep:"none" help:"File of lines NAME=value that engines have in their environment (repeatable)."`
	PassEnv    []string      `name:"pass-env" placeholder:"NAME,…" help:"Variables of the supervisor's that engines have too, beyond those for libraries and engines."`
	Devices    string        `env:"NVIDIA_VISIBLE_DEVICES" placeholder:"UUID,…" help:"The GPUs, as CUDA_VISIBLE_DEVICES takes them (default: $$NVIDIA_VISIBLE_DEVICES, else 0, 1, …)."`
	FirstPort  int           `name:"first-port" default:"10000" placeholder:"N" help:"First port that engines may get; the default range is outside Nomad's."`
	LastPort   int           `name:"last-port" default:"14999" placeholder:"N" help:"Last port that engines may get."`
	HostMemory string        `name:"host-memory" placeholder:"SIZE" help:"Memory of the machine for parked engines."`
	GPUMemory  string        `name:"gpu-memory" placeholder:"SIZE" help:"Memory of each GPU (default: that of an H100 of 80 GB)."`
	Grace      time.Duration `default:"100s" help:"From SIGTERM to SIGKILL of an engine."`
	Consul     string        `name:"consul-addr" env:"CONSUL_HTTP_ADDR" default:"http://127.0.0.1:8500" placeholder:"URL" help:"The machine's Consul agent, which learns which engines take requests; off: none does."`
	LogLevel   slog.Level    `name:"log-level" values:"debug,info,warn,error" default:"info" help:"Least level of log lines on stderr: debug, info, warn, error."`
}

// noConsul is the address of no agent.
const noConsul = "off"

// Run supervises until a signal.
func (c slotCmd) Run(env *Env) error {
	if err := hideProcess(); err != nil {
		return err
	}
	log := env.logger(c.LogLevel)
	s, err := c.slot(log)
	if err != nil {
		return err
	}
	key, err := c.readSecrets(env)
	if err != nil {
		return err
	}
	api, err := slot.NewAPI(slot.APIConfig{Slot: s, Key: key, Log: log.With("component", "api")})
	if err != nil {
		return err
	}
	stages := []stage{{name: "the engines", run: s.Run}}
	if c.Consul != noConsul {
		r, err := consul.NewRegistrar(consul.RegistrarConfig{
			Addr: c.Consul, Cluster: c.Cluster, Slot: c.ID, Log: log.With("component", "consul"),
		})
		if err != nil {
			return err
		}
		stages = append(stages, stage{name: "the registration", run: func(ctx context.Context) error { return r.Run(ctx, s.Watch) }})
	}
	ln, err := listen(c.Addr, "--addr")
	if err != nil {
		return err
	}
	// Last: whoever watches is told of each engine's end.
	stages = append(stages, stage{name: "the API", run: func(ctx context.Context) error { return api.Serve(ctx, ln) }})
	env.say("slot %s with %d GPUs at http://%s", c.ID, c.GPUs, ln.Addr())
	return untilSignalled(env, func() string { return "ending engines" }, func(ctx context.Context, hurry <-chan struct{}) error {
		return runStages(ctx, hurry, stages)
	})
}

// slotKeyItem is the name of the key among a slot's secrets, as in the Nomad Variable that they come from.
const slotKeyItem = "slot_key"

// readSecrets gives the key of the API, and makes the other secrets variables of this process, which engines never see. The file is removed: where engines run as
// the supervisor's own user, they could read it.
func (c *slotCmd) readSecrets(env *Env) (key string, err error) {
	key = env.Getenv(c.KeyEnv)
	os.Unsetenv(c.KeyEnv)
	from := c.KeyEnv
	if c.Secrets != "" {
		entries, err := readVariables(c.Secrets)
		if err != nil {
			return "", fmt.Errorf("--secrets: %w", err)
		}
		if err := os.Remove(c.Secrets); err != nil {
			return "", fmt.Errorf("--secrets: removing the file once it is read: %w", err)
		}
		for _, entry := range entries {
			name, value, _ := strings.Cut(entry, "=")
			switch name {
			case slotKeyItem:
				key, from = value, slotKeyItem+" in "+c.Secrets
			case "CONSUL_HTTP_ADDR":
				c.Consul = value
			default:
				os.Setenv(name, value)
			}
		}
	}
	if len(key) < slot.MinKey {
		return "", fmt.Errorf("%s must hold the slot key, of %d characters or more; it has %d", from, slot.MinKey, len(key))
	}
	return key, nil
}

// slot makes the supervisor.
func (c slotCmd) slot(log *slog.Logger) (*slot.Slot, error) {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return nil, fmt.Errorf("--addr is %q; write ip:port, such as 10.0.0.7:9000", c.Addr)
	}
	cfg := slot.Config{
		ID: c.ID, Source: "slot/" + c.ID, Node: c.Node, Pool: c.Pool, GPUs: c.GPUs, Dir: c.Dir, Host: host, Grace: c.Grace,
		Ports: fleet.Range{Min: c.FirstPort, Max: c.LastPort}, KeepTerm: true, PassEnv: c.PassEnv, Gauge: slot.MachineGauge(), Log: log.With("component", "slot"),
	}
	if cfg.User, err = slot.LookUpUser(c.EngineUser); err != nil {
		return nil, fmt.Errorf("--engine-user: %w", err)
	}
	for _, file := range c.EngineEnv {
		entries, err := readVariables(file)
		if err != nil {
			return nil, fmt.Errorf("--engine-env: %w", err)
		}
		cfg.EngineEnv = append(cfg.EngineEnv, entries...)
	}
	if cfg.Self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("finding our own program, which is also the simulated engine: %w", err)
	}
	if cfg.Node == "" {
		if cfg.Node, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("finding the machine's name: %w", err)
		}
	}
	if cfg.Devices, err = c.devices(); err != nil {
		return nil, err
	}
	sizes := []struct {
		flag, text string
		to         *fleet.Bytes
	}{{"--host-memory", c.HostMemory, &cfg.HostMemory}, {"--gpu-memory", c.GPUMemory, &cfg.GPUMemory}}
	for _, s := range sizes {
		if s.text == "" {
			continue
		}
		if *s.to, err = fleet.ParseBytes(s.text); err != nil {
			return nil, fmt.Errorf("%s: %w", s.flag, err)
		}
	}
	return slot.New(cfg)
}

// devices are the GPUs that Nomad's device plugin has granted, in an order that a restart keeps; the plugin's is arbitrary.
func (c slotCmd) devices() ([]string, error) {
	switch c.Devices {
	case "", "all", "none", "void":
		return nil, nil
	}
	devices := strings.Split(c.Devices, ",")
	if len(devices) != c.GPUs {
		return nil, fmt.Errorf("--gpus is %d, but there are %d devices: %s", c.GPUs, len(devices), c.Devices)
	}
	slices.Sort(devices)
	if len(slices.Compact(slices.Clone(devices))) != c.GPUs {
		return nil, errors.New("--devices names a GPU twice")
	}
	return devices, nil
}
