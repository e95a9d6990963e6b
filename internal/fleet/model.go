package fleet

import (
	"maps"
	"slices"
	"time"
)

// Endpoint is an API family that a model serves, as named in a model's endpoints list.
type Endpoint string

// The endpoints that Pilotlight knows. A model lists those that callers may use; those that its engine does not serve itself are translated to chat.
const (
	EndpointChat        Endpoint = "chat"
	EndpointCompletions Endpoint = "completions"
	EndpointEmbeddings  Endpoint = "embeddings"
	EndpointResponses   Endpoint = "responses"
	EndpointMessages    Endpoint = "messages"
)

// Model is one servable model: what callers name, what an engine loads, and the limits that operators set.
// A Model is immutable once it has been loaded from the config; parts share pointers to it.
type Model struct {
	ID             string
	GPUs           int    // per instance; 0 only for an engine of kind openai on the local back end
	Pool           string // "" = dedicated instances (on the local back end: the pool "local")
	Endpoints      []Endpoint
	Native         []Endpoint // those that the engine serves itself; nil = as engines of its kind do
	ContextLength  int        // tokens; 0 = not known
	MaxConcurrency int        // requests that one instance serves at once
	IdleAfter      time.Duration
	Instances      Range
	Queue          QueueLimits
	Timeouts       Timeouts
	Allow          []string // fields that requests may carry beyond those listed for the engine's kind, and "remote_media"
	Engine         EngineSpec
	ParkedMemory   Bytes // host memory that one parked engine takes; 0 = not known, and counted as none
}

// Serves reports whether the model lists the endpoint.
func (m *Model) Serves(e Endpoint) bool { return slices.Contains(m.Endpoints, e) }

// ServesNatively reports whether the model's engine serves the endpoint itself, whether or not callers may use it.
func (m *Model) ServesNatively(e Endpoint) bool {
	return slices.Contains(m.NativeEndpoints(), e)
}

// NativeEndpoints gives the endpoints that the model's engine serves itself. It must not be changed.
func (m *Model) NativeEndpoints() []Endpoint {
	if m.Native == nil {
		return m.Engine.Kind.Native()
	}
	return m.Native
}

// LaunchesLike reports whether instances of both are launched alike, and in the same place. Where they are not, an instance of the one cannot
// stand for an instance of the other.
func (m *Model) LaunchesLike(other *Model) bool {
	return m.GPUs == other.GPUs && m.Pool == other.Pool && m.MaxConcurrency == other.MaxConcurrency &&
		m.ParkedMemory == other.ParkedMemory && m.Serves(EndpointEmbeddings) == other.Serves(EndpointEmbeddings) && m.Engine.equal(&other.Engine)
}

func (e *EngineSpec) equal(other *EngineSpec) bool {
	return e.Kind == other.Kind && e.Driver == other.Driver && e.Image == other.Image && e.Weights == other.Weights &&
		e.Secrets == other.Secrets && e.Memory == other.Memory && e.CPU == other.CPU && slices.Equal(e.Command, other.Command) &&
		slices.Equal(e.Args, other.Args) && slices.Equal(e.Volumes, other.Volumes) && maps.Equal(e.Env, other.Env)
}

// Range bounds a count, both ends included.
type Range struct {
	Min, Max int
}

// QueueLimits bounds the requests of one model that wait for a lease.
type QueueLimits struct {
	Limit   int           // waiting requests in one server
	PerOrg  int           // of these, at most so many of one org
	MaxWait time.Duration // a request that has waited this long is answered activation_timeout or no_capacity
}

// Timeouts bounds the stages of an instance and of a request. Zero means no limit.
type Timeouts struct {
	Start     time.Duration // launch to ready
	FirstByte time.Duration // dispatch to the first body byte
	Idle      time.Duration // between two body bytes
	Total     time.Duration // dispatch to last byte
}
