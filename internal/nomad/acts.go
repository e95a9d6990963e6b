package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	retryFor    = 15 * time.Second // a server that restarts leads again within a few seconds
	retryFirst  = 100 * time.Millisecond
	retryMost   = time.Second
	answersIn   = 10 * time.Second // one that is frozen is not waited for
	rememberFor = time.Hour        // what was stopped before it was launched; by then nobody launches it any more
)

var (
	errSilent = errors.New("Nomad does not answer") // why a call was given up
	errFile   = errors.New("the job file")          // cannot be made, or makes no sense: no fault of Nomad's
)

// Do accepts an act. One on an instance in a slot goes to the slot's supervisor, once; of any other it returns when Nomad has stored it. It may be repeated. While the Nomad servers do not answer or have
// no leader it tries again for 15 s, less and less often, or until ctx is done. Its errors wrap those of fleet that say what is to blame.
func (n *Nomad) Do(ctx context.Context, act fleet.Act) error {
	err := n.do(ctx, act)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s of %s: %w", act.Kind, cmp.Or(act.Instance, act.Slot), err)
}

func (n *Nomad) do(ctx context.Context, act fleet.Act) error {
	var do func(context.Context, fleet.Act) error
	switch {
	case act.Kind == fleet.ActAddSlot:
		do = n.addSlot
	case act.Kind == fleet.ActDropSlot:
		do = n.dropSlot
	case act.Slot != "":
		return n.inSlot(ctx, act)
	case act.Kind == fleet.ActLaunch:
		do = n.launch
	case act.Kind == fleet.ActStop:
		do = n.stop
	default:
		return ErrNotAvailable
	}
	return blame(patiently(ctx, func(ctx context.Context) error {
		if err := n.admit(ctx, act); err != nil {
			return err
		}
		return do(ctx, act)
	}))
}

// patiently performs calls, and again while what hinders them may go away by itself.
func patiently(ctx context.Context, call func(context.Context) error) error {
	pause := retryFirst
	for deadline := time.Now().Add(retryFor); ; pause = min(2*pause, retryMost) {
		err := within(ctx, call)
		if err == nil || ctx.Err() != nil || !passing(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause)): // not in step with others
		}
	}
}

// within performs calls that have to be answered soon.
func within(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answersIn, errSilent)
	defer cancel()
	err := call(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

// passing reports whether an error may go away by itself: the server was not reached, or has no leader.
func passing(err error) bool {
	for _, final := range []error{
		ErrForeign, ErrStopped, ErrUnknownModel, ErrUnknownPool, ErrNoSlot, ErrNoSlotKey, errFile, errTerm,
		fleet.ErrFenced, fleet.ErrNoOrphan, fleet.ErrCared, fleet.ErrOtherCluster,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	switch status, text := refusal(err); {
	case status == 0, status == http.StatusTooManyRequests:
		return true
	case status >= http.StatusInternalServerError: // also for jobs that Nomad does not take
		return slices.ContainsFunc(unready, func(words string) bool { return strings.Contains(text, words) })
	}
	return false
}

// unready is what servers say that have no leader, or one that has only just become it.
var unready = []string{"leader", "rpc error", "not ready", "keyring", "connection"}

// refusal is what the server answered; 0 = it did not.
func refusal(err error) (status int, text string) {
	var answer api.UnexpectedResponseError
	if errors.As(err, &answer) {
		return answer.StatusCode(), answer.Body()
	}
	return 0, ""
}

func (n *Nomad) launch(ctx context.Context, act fleet.Act) error {
	m := cmp.Or(act.Config, n.model(act.Model))
	if m == nil {
		return ErrUnknownModel
	}
	if n.wasStopped(act.Instance) {
		return ErrStopped
	}
	name := JobName(n.cfg.Cluster, act.Model, act.Instance)
	known, err := n.job(ctx, name, metaInstance, act.Instance)
	if err != nil {
		return err
	}
	if known != nil {
		if known.Stop != nil && *known.Stop {
			return ErrStopped
		}
		return nil
	}
	text, err := n.render(m, act)
	if err != nil {
		return fmt.Errorf("%w: %w", errFile, err)
	}
	return n.register(ctx, submission{text, name, metaInstance, act.Instance, act})
}

// submission is a job whose meta says what it is of.
type submission struct {
	text, name  string
	meta, value string
	act         fleet.Act
}

// register submits a job.
func (n *Nomad) register(ctx context.Context, s submission) error {
	job, err := n.parse(ctx, s.text)
	if err != nil {
		return err
	}
	if job.ID == nil || *job.ID != s.name {
		return fmt.Errorf("%w names its job otherwise than %s", errFile, s.name)
	}
	// Index 0: only where there is no such job; one that was stopped in the meantime would rise again.
	done, _, err := n.client.Jobs().RegisterOpts(job, &api.RegisterOptions{
		EnforceIndex: true, Submission: &api.JobSubmission{Source: s.text, Format: "hcl2"},
	}, n.write(ctx))
	if _, text := refusal(err); strings.Contains(text, api.RegisterEnforceIndexErrPrefix) {
		_, err := n.job(ctx, s.name, s.meta, s.value) // an earlier try came through, or somebody else was faster
		return err
	}
	if err != nil {
		return needs(err, submitJob)
	}
	return n.confirm(ctx, s.act, s.name, done.JobModifyIndex)
}

// parse has the server read a job file.
func (n *Nomad) parse(ctx context.Context, text string) (*api.Job, error) {
	var job api.Job
	request := api.JobsParseRequest{JobHCL: text, Canonicalize: true}
	if _, err := n.client.Raw().Write("/v1/jobs/parse", &request, &job, n.write(ctx)); err != nil {
		return nil, fmt.Errorf("reading the job file: %w", needs(err, submitJob))
	}
	return &job, nil
}

func (n *Nomad) stop(ctx context.Context, act fleet.Act) error {
	name := JobName(n.cfg.Cluster, act.Model, act.Instance)
	known, err := n.job(ctx, name, metaInstance, act.Instance)
	switch {
	case err != nil:
		return err
	case known == nil:
		n.rememberStop(act.Instance)
		return nil
	case known.Stop != nil && *known.Stop:
		return nil
	}
	return n.deregister(ctx, name)
}

// deregister stops a job. It is never purged: Nomad 1.11's server does not survive that while the job is being placed.
func (n *Nomad) deregister(ctx context.Context, name string) error {
	_, _, err := n.client.Jobs().Deregister(name, false, n.write(ctx))
	return needs(err, submitJob)
}

// job gives the job of an instance or a slot, nil where there is none, and ErrForeign where the name is somebody else's.
func (n *Nomad) job(ctx context.Context, name, meta, value string) (*api.Job, error) {
	job, _, err := n.client.Jobs().Info(name, n.query(ctx))
	if status, _ := refusal(err); status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, needs(err, readJob)
	}
	if job.Meta[metaCluster] != n.cfg.Cluster || job.Meta[meta] != value {
		return nil, fmt.Errorf("job %s: %w", name, ErrForeign)
	}
	return job, nil
}

func (n *Nomad) wasStopped(instance string) bool {
	n.stopsMu.Lock()
	defer n.stopsMu.Unlock()
	_, stopped := n.stopped[instance]
	return stopped
}

// rememberStop remembers a stop, and forgets those that are too old to matter.
func (n *Nomad) rememberStop(instance string) {
	n.stopsMu.Lock()
	defer n.stopsMu.Unlock()
	now := time.Now()
	maps.DeleteFunc(n.stopped, func(_ string, at time.Time) bool { return now.Sub(at) > rememberFor })
	n.stopped[instance] = now
}

func (n *Nomad) query(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{Namespace: n.cfg.Namespace, Region: n.cfg.Region}).WithContext(ctx)
}

func (n *Nomad) write(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{Namespace: n.cfg.Namespace, Region: n.cfg.Region}).WithContext(ctx)
}
