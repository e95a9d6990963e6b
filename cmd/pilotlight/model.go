package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// modelCmd holds the commands about models.
type modelCmd struct {
	List    modelListCmd    `cmd:"" help:"List models and where they stand."`
	Show    modelShowCmd    `cmd:"" help:"Show one model."`
	Start   modelStartCmd   `cmd:"" help:"Hold a model hot."`
	Stop    modelStopCmd    `cmd:"" help:"Drain a model's instances, then stop them; the next request may start it again."`
	Explain modelExplainCmd `cmd:"" help:"Say what the autoscaler would do now, and why."`
}

// modelFlags name one model of one server.
type modelFlags struct {
	ID string `arg:"" name:"model" complete:"model" help:"Its id."`
	serverFlags
	jsonFlag
}

type modelListCmd struct {
	serverFlags
	jsonFlag
}

// Run lists all models.
func (c modelListCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	models, err := client.Models(env.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, models)
	}
	return printModels(env, client, models...)
}

type modelShowCmd struct{ modelFlags }

// Run shows one model with its settings.
func (c modelShowCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	m, err := client.Model(env.ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, m)
	}
	t := newTable("FIELD", "VALUE")
	t.row("model", m.ID)
	t.row("state", m.State)
	t.row("gpus", m.GPUs)
	t.row("pool", m.Pool)
	t.row("engine", m.Engine)
	t.row("endpoints", listOr(m.Endpoints, ""))
	t.row("context_length", m.ContextLength)
	t.row("max_concurrency", m.MaxConcurrency)
	t.row("idle_after", m.IdleAfter)
	t.row("instances", fmt.Sprintf("%d to %d", m.Instances.Min, m.Instances.Max))
	t.row("now", fmt.Sprintf("%d hot, %d starting, %d parked, %d waiting, %d in flight", m.Hot, m.Starting, m.Parked, m.Waiting, m.Inflight))
	t.row("wanted", fmt.Sprintf("%d hot: %s", m.Desired.Hot, m.Desired.Reason))
	for _, i := range m.Live {
		t.row("instance", instanceLine(i))
	}
	return t.write(env.Stdout)
}

type modelStartCmd struct {
	modelFlags
	For  *span `placeholder:"10m" help:"How long to hold it hot; its idle_after if not given."`
	Wait bool  `help:"Show the phases until it is hot. Exits 2 if it cannot be."`
}

// Run holds the model hot and, with --wait, returns when it is.
func (c modelStartCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	began := env.Now()
	var held time.Duration // 0 = its idle_after
	if c.For != nil {
		if held = time.Duration(*c.For); held == 0 {
			return errors.New("--for must be longer than 0s; leave it out for the model's idle_after")
		}
	}
	m, err := client.StartModel(env.ctx, c.ID, held)
	var refused *openai.Error
	if c.Wait && errors.As(err, &refused) && refused.Code == openai.CodeNoCapacity {
		return exitError{error: err, code: 2}
	}
	if err != nil {
		return err
	}
	if !c.Wait && m.State != string(fleet.Hot) {
		env.say("%s is being started; --wait shows how, and returns when it is hot", c.ID)
	}
	if c.Wait {
		env.doing("")
		if held == 0 {
			if held, err = fleet.ParseDuration(m.IdleAfter); err != nil {
				return fmt.Errorf("reading the model's idle_after: %w", err)
			}
		}
		w := waiting{env: env, client: client, model: c.ID, began: began, until: env.Now().Add(held), held: held}
		if m, err = w.untilHot(m); err != nil {
			return err
		}
	}
	return c.print(env, client, m)
}

type modelStopCmd struct{ modelFlags }

// Run begins to drain the model's instances.
func (c modelStopCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	m, err := client.StopModel(env.ctx, c.ID)
	if err != nil {
		return err
	}
	return c.print(env, client, m)
}

type modelExplainCmd struct{ modelFlags }

// Run prints the autoscaler's reasons.
func (c modelExplainCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	e, err := client.Explain(env.ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, e)
	}
	_, err = fmt.Fprintln(env.Stdout, strings.TrimRight(e.Text, "\n"))
	return err
}

func (f modelFlags) print(env *Env, client *admin.Client, m *admin.Model) error {
	if f.JSON {
		return writeJSON(env.Stdout, m)
	}
	return printModels(env, client, *m)
}

func printModels(env *Env, client *admin.Client, models ...admin.Model) error {
	instances, err := client.Instances(env.ctx)
	if err != nil {
		return err
	}
	t := newTable("MODEL", "STATE", ">GPUS", ">HOT", ">STARTING", ">PARKED", ">WAITING", ">INFLIGHT", ">IDLE AFTER", "NODE", "WHY")
	for _, m := range models {
		var nodes []string
		gpus := strconv.Itoa(m.GPUs)
		for _, i := range instances {
			if i.Model == m.ID && placeOf(i) != "" {
				nodes = append(nodes, placeOf(i))
			}
			if i.Model == m.ID && launchedOtherwise(i) != "" {
				gpus = strconv.Itoa(m.GPUs) + "*" // `model show` says what is otherwise
			}
		}
		slices.Sort(nodes)
		t.row(m.ID, m.State, gpus, m.Hot, m.Starting, m.Parked, m.Waiting, m.Inflight, m.IdleAfter, strings.Join(slices.Compact(nodes), ","), m.Desired.Reason)
	}
	return t.write(env.Stdout)
}

// placeOf is where an instance is: its slot, or its node by the beginning of its ID, as Nomad's own commands show and take it.
func placeOf(i admin.Instance) string {
	if i.Slot != "" {
		return i.Slot
	}
	return i.Node[:min(len(i.Node), 8)]
}

// instanceLine says of an instance what is known of it.
func instanceLine(i admin.Instance) string {
	line := fmt.Sprintf("%s %s", i.ID, i.State)
	for _, part := range []struct{ word, value string }{{"on", placeOf(i)}, {"at", i.Addr}, {"job", i.Job}} {
		if part.value != "" {
			line += " " + part.word + " " + part.value
		}
	}
	if differs := launchedOtherwise(i); differs != "" {
		line += " * launched with " + differs
	}
	return line
}

// launchedOtherwise says with what the instance was launched that the config has otherwise now; "" = nothing, as far as is known.
func launchedOtherwise(i admin.Instance) string {
	if i.Spec == nil || i.Configured == nil {
		return ""
	}
	var differ []string
	was, now := i.Spec, i.Configured
	for _, one := range []struct {
		word     string
		was, now any
	}{
		{"gpus", was.GPUs, now.GPUs},
		{"max_concurrency", was.MaxConcurrency, now.MaxConcurrency},
		{"parked memory", was.ParkedMemory, now.ParkedMemory},
		{"engine", was.Kind, now.Kind},
		{"args", fmt.Sprint(was.Args), fmt.Sprint(now.Args)},
	} {
		if one.was != one.now {
			differ = append(differ, fmt.Sprintf("%s %v (config: %v)", one.word, one.was, one.now))
		}
	}
	return strings.Join(differ, ", ")
}

// span is a time span on the command line, written as in the config.
type span time.Duration

// UnmarshalText reads one such as "90s" or "2d".
func (s *span) UnmarshalText(text []byte) error {
	d, err := fleet.ParseDuration(string(text))
	*s = span(d)
	return err
}
