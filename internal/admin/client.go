package admin

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Client asks the admin API of a running server. It is safe for concurrent use. Errors that the server answered are
// *openai.Error, wrapped with what was being done; a server that cannot be reached gives another error, with a hint.
type Client struct {
	BaseURL string       // such as http://127.0.0.1:8081
	Token   string       // the admin token
	HTTP    *http.Client // nil = http.DefaultClient
}

// Orgs lists all organisations by name.
func (c *Client) Orgs(ctx context.Context) ([]Org, error) { panic("unfinished") }

// Org shows one organisation.
func (c *Client) Org(ctx context.Context, name string) (*Org, error) { panic("unfinished") }

// CreateOrg adds an organisation.
func (c *Client) CreateOrg(ctx context.Context, n NewOrg) (*Org, error) { panic("unfinished") }

// UpdateOrg changes an organisation: its models, or its state (suspend and resume).
func (c *Client) UpdateOrg(ctx context.Context, name string, change OrgChange) (*Org, error) {
	panic("unfinished")
}

// Tokens lists the tokens of an organisation, "" = of all.
func (c *Client) Tokens(ctx context.Context, org string) ([]Token, error) { panic("unfinished") }

// CreateToken adds a token; its secret can never be had again.
func (c *Client) CreateToken(ctx context.Context, n NewToken) (*IssuedToken, error) {
	panic("unfinished")
}

// RevokeToken makes a token stop working for good.
func (c *Client) RevokeToken(ctx context.Context, id string) (*Token, error) { panic("unfinished") }

// Models lists all models and where they stand, in the order of the config.
func (c *Client) Models(ctx context.Context) ([]Model, error) { panic("unfinished") }

// Model shows one model.
func (c *Client) Model(ctx context.Context, id string) (*Model, error) { panic("unfinished") }

// Explain says what the autoscaler would do about a model now, and why.
func (c *Client) Explain(ctx context.Context, id string) (*Explanation, error) { panic("unfinished") }

// StartModel holds a model hot for d; 0 = its idle_after.
func (c *Client) StartModel(ctx context.Context, id string, d time.Duration) (*Model, error) {
	panic("unfinished")
}

// StopModel drains a model's instances and stops them. The next request may start it again.
func (c *Client) StopModel(ctx context.Context, id string) (*Model, error) { panic("unfinished") }

// Instances lists all instances.
func (c *Client) Instances(ctx context.Context) ([]Instance, error) { panic("unfinished") }

// Activations lists the latest activations, newest first.
func (c *Client) Activations(ctx context.Context) ([]Activation, error) { panic("unfinished") }

// Pools lists all pools.
func (c *Client) Pools(ctx context.Context) ([]Pool, error) { panic("unfinished") }

// Pool shows one pool.
func (c *Client) Pool(ctx context.Context, name string) (*Pool, error) { panic("unfinished") }

// Usage gives one page of usage.
func (c *Client) Usage(ctx context.Context, q UsageQuery) (*Usage, error) { panic("unfinished") }

// Records gives one page of usage records. org "" = of all; limit 0 = the server's default.
func (c *Client) Records(ctx context.Context, org, cursor string, limit int) (*Records, error) {
	panic("unfinished")
}

// Events calls f with every transition after the event whose ID is after ("" = all that the server still remembers)
// until ctx is done, f fails, or the server ends; the error says which. It does not reconnect.
func (c *Client) Events(ctx context.Context, after string, f func(Event) error) error {
	panic("unfinished")
}

// Metrics copies the server's metrics to w.
func (c *Client) Metrics(ctx context.Context, w io.Writer) error { panic("unfinished") }

// Ready returns nil where the server takes requests, else why not.
func (c *Client) Ready(ctx context.Context) error { panic("unfinished") }
