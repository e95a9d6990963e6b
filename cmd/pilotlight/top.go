package main

import (
	"context"
	"errors"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// topCmd shows models, GPUs and queues, again and again.
type topCmd struct {
	Once  bool `help:"Print it once, whole; no terminal needed."`
	Every span `default:"2s" placeholder:"SPAN" help:"How often to look."`
	serverFlags
	jsonFlag
}

// Validate is called by the parser.
func (c topCmd) Validate() error {
	if time.Duration(c.Every) < 100*time.Millisecond {
		return errors.New("--every must be 100ms or more")
	}
	return nil
}

// topState is all that top shows, as it was at one moment.
type topState struct {
	At          admin.Time         `json:"at"`
	Server      string             `json:"server"`
	Ready       string             `json:"ready"` // why it does not take requests; empty = it does
	Models      []admin.Model      `json:"models"`
	Pools       []admin.Pool       `json:"pools"`
	Instances   []admin.Instance   `json:"instances"`
	Activations []admin.Activation `json:"activations"` // that go on
	Queue       *admin.Queue       `json:"queue"`
}

// Run shows it until q is pressed, or prints it once.
func (c topCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	first, err := lookAtTop(env, client)
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return writeJSON(env.Stdout, first)
	case c.Once:
		return writeLines(env.Stdout, topView{state: first}.all())
	}
	env.doing("")
	screen, err := openScreen(env)
	if err != nil {
		return err
	}
	return errors.Join(c.live(env, client, first, screen), screen.close())
}

// lookAtTop asks for all that is shown.
func lookAtTop(env *Env, client *admin.Client) (*topState, error) {
	s := &topState{At: admin.Time{Time: env.Now()}, Server: client.BaseURL}
	if u, err := url.Parse(client.BaseURL); err == nil {
		s.Server = u.Host
	}
	ctx, cancel := context.WithTimeout(env.ctx, 10*time.Second)
	defer cancel()
	var err error
	if s.Models, err = client.Models(ctx); err != nil {
		return nil, err
	}
	if s.Pools, err = client.Pools(ctx); err != nil {
		return nil, err
	}
	if s.Instances, err = client.Instances(ctx); err != nil {
		return nil, err
	}
	activations, err := client.Activations(ctx)
	if err != nil {
		return nil, err
	}
	s.Activations = []admin.Activation{}
	for _, a := range activations {
		if a.EndedAt == nil {
			s.Activations = append(s.Activations, a)
		}
	}
	if s.Queue, err = client.Queue(ctx, ""); err != nil {
		return nil, err
	}
	if err := client.Ready(ctx); err != nil {
		s.Ready = said(err)
	}
	return s, nil
}

// looked is what one look has come to.
type looked struct {
	state *topState
	err   error
}

// live shows what the server says until a key or a signal ends it. A server that does not answer is told, and asked again.
func (c topCmd) live(env *Env, client *admin.Client, first *topState, screen *screen) error {
	ctx, cancel := context.WithCancel(env.ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	looks, keys := make(chan looked), make(chan key)
	asking := *env
	asking.ctx, asking.client = ctx, nil
	running.Go(func() {
		for pause(ctx, time.Duration(c.Every)) == nil {
			var l looked
			l.state, l.err = lookAtTop(&asking, client)
			select {
			case looks <- l:
			case <-ctx.Done():
			}
		}
	})
	running.Go(func() { screen.readKeys(ctx, keys) })
	signals, unwatch := env.Signals()
	defer unwatch()
	resized, unwatchSize := notified(1, syscall.SIGWINCH)
	defer unwatchSize()
	v := topView{state: first, colour: screen.colour}
	for {
		v.width, v.height = screen.size()
		if err := screen.draw(v.screen()); err != nil {
			return err
		}
		select {
		case l := <-looks:
			if v.err = l.err; l.err == nil {
				v.state = l.state
			}
		case k := <-keys:
			if k == keyQuit {
				return nil
			}
			v.scroll(k)
		case <-resized:
		case <-signals:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// file is the file behind what a command reads or writes; nil = it is none.
func file(v any) *os.File {
	if a, ok := v.(aboveProgress); ok {
		v = a.w
	}
	f, _ := v.(*os.File)
	return f
}
