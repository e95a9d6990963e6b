package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Client asks the admin API of a running server. It is safe for concurrent use. What the server refused is an
// *openai.Error; a server that cannot be reached, or is none of ours, is another error. Both say what to do about it.
type Client struct {
	BaseURL string       // such as http://127.0.0.1:8081
	Token   string       // the admin token
	HTTP    *http.Client // nil = http.DefaultClient
}

// Models lists all models and where they stand, in the order of the config.
func (c *Client) Models(ctx context.Context) ([]Model, error) {
	list, err := ask[modelList](ctx, c, http.MethodGet, "/api/models", nil)
	return list.Models, err
}

// Model shows one model.
func (c *Client) Model(ctx context.Context, id string) (*Model, error) {
	return one(ask[Model](ctx, c, http.MethodGet, modelPath(id), nil))
}

// Explain says what the autoscaler would do about a model now, and why.
func (c *Client) Explain(ctx context.Context, id string) (*Explanation, error) {
	return one(ask[Explanation](ctx, c, http.MethodGet, modelPath(id)+"/explain", nil))
}

// StartModel holds a model hot for d; 0 = its idle_after. It does not wait until the model is hot.
func (c *Client) StartModel(ctx context.Context, id string, d time.Duration) (*Model, error) {
	var h hold
	if d != 0 {
		h.For = fleet.FormatDuration(d)
	}
	return one(ask[Model](ctx, c, http.MethodPost, modelPath(id)+"/start", h))
}

// StopModel drains a model's instances and stops them, without waiting for that. The next request may start it again.
func (c *Client) StopModel(ctx context.Context, id string) (*Model, error) {
	return one(ask[Model](ctx, c, http.MethodPost, modelPath(id)+"/stop", nil))
}

// Queue lists who waits for a model, "" = for any.
func (c *Client) Queue(ctx context.Context, model string) (*Queue, error) {
	path := "/api/queue"
	if model != "" {
		path += "?model=" + url.QueryEscape(model)
	}
	return one(ask[Queue](ctx, c, http.MethodGet, path, nil))
}

// ChangeQueue puts those who wait first, or ends their wait.
func (c *Client) ChangeQueue(ctx context.Context, change QueueChange) (*QueueChanged, error) {
	return one(ask[QueueChanged](ctx, c, http.MethodPost, "/api/queue", change))
}

// modelPath escapes the slashes of an ID too: a model may be called a/start.
func modelPath(id string) string { return "/api/models/" + url.PathEscape(id) }

// Instances lists all instances.
func (c *Client) Instances(ctx context.Context) ([]Instance, error) {
	list, err := ask[instanceList](ctx, c, http.MethodGet, "/api/instances", nil)
	return list.Instances, err
}

// Activations lists the latest activations, newest first.
func (c *Client) Activations(ctx context.Context) ([]Activation, error) {
	list, err := ask[activationList](ctx, c, http.MethodGet, "/api/activations", nil)
	return list.Activations, err
}

// Pools lists all pools.
func (c *Client) Pools(ctx context.Context) ([]Pool, error) {
	list, err := ask[poolList](ctx, c, http.MethodGet, "/api/pools", nil)
	return list.Pools, err
}

// Pool shows one pool.
func (c *Client) Pool(ctx context.Context, name string) (*Pool, error) {
	return one(ask[Pool](ctx, c, http.MethodGet, "/api/pools/"+url.PathEscape(name), nil))
}

// TunePool changes settings of a pool, all of them or none: key -> value as in the config, without quotes; an empty value resets one.
func (c *Client) TunePool(ctx context.Context, name string, changes map[string]string) (*Pool, error) {
	body, err := nested(changes)
	if err != nil {
		return nil, err
	}
	return one(ask[Pool](ctx, c, http.MethodPatch, "/api/pools/"+url.PathEscape(name), body))
}

// Configure has the server take a config file, all of it or nothing; dry = only say what it would change. Mistakes in the file are an
// *openai.Error whose Param is "content", one a line.
func (c *Client) Configure(ctx context.Context, file ConfigFile, dry bool) (*Configured, error) {
	asked := ""
	if dry {
		asked = "true"
	}
	return one(ask[Configured](ctx, c, http.MethodPost, configPath+search("dry_run", asked), file))
}

// Orphans lists what runs and is in nobody's care.
func (c *Client) Orphans(ctx context.Context) ([]Orphan, error) {
	list, err := ask[orphanList](ctx, c, http.MethodGet, "/api/orphans", nil)
	return list.Orphans, err
}

// StopOrphan stops one, and gives what it was. cluster "" = it is of the server's own cluster.
func (c *Client) StopOrphan(ctx context.Context, id, cluster string) (*Orphan, error) {
	return one(ask[Orphan](ctx, c, http.MethodDelete, "/api/orphans/"+url.PathEscape(id)+search("cluster", cluster), nil))
}

// Servers lists the servers of the cluster, as far as the one that is asked knows them.
func (c *Client) Servers(ctx context.Context) ([]ServerInfo, error) {
	list, err := ask[serverList](ctx, c, http.MethodGet, "/api/servers", nil)
	return list.Servers, err
}

// Webhooks lists the webhooks of the server's config.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	list, err := ask[webhookList](ctx, c, http.MethodGet, "/api/webhooks", nil)
	return list.Webhooks, err
}

// ResumeWebhook has a webhook send again. from: start, now, or a record's ID; "" = where it stopped.
func (c *Client) ResumeWebhook(ctx context.Context, name, from string) (*Webhook, error) {
	return one(ask[Webhook](ctx, c, http.MethodPost, "/api/webhooks/"+url.PathEscape(name)+"/resume", resumeOrder{from}))
}

// Usage gives one page of usage.
func (c *Client) Usage(ctx context.Context, q UsageQuery) (*Usage, error) {
	parameters := search("org", q.Org, "from", q.From, "to", q.To, "by", string(q.By), "limit", page(q.Limit), "cursor", q.Cursor)
	return one(ask[Usage](ctx, c, http.MethodGet, "/api/usage"+parameters, nil))
}

// ExportUsage copies usage in another format to w, all pages of it: jsonl, csv or focus. version is that of FOCUS; "" = the newest. q's Limit and Cursor are
// left out.
func (c *Client) ExportUsage(ctx context.Context, w io.Writer, q UsageQuery, format, version string) error {
	return c.copy(ctx, w, "/api/usage"+search("org", q.Org, "from", q.From, "to", q.To, "by", string(q.By), "format", format, "focus_version", version))
}

// ExportRecords copies usage records to w, one JSON object a line. org "" = of all; cursor "" = from the first that is kept.
func (c *Client) ExportRecords(ctx context.Context, w io.Writer, org, cursor string) error {
	return c.copy(ctx, w, "/api/usage/records"+search("org", org, "cursor", cursor, "format", "jsonl"))
}

// copy copies an answer to w.
func (c *Client) copy(ctx context.Context, w io.Writer, path string) error {
	response, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// Records gives one page of usage records. org "" = of all; limit 0 = the server's default.
func (c *Client) Records(ctx context.Context, org, cursor string, limit int) (*Records, error) {
	parameters := search("org", org, "cursor", cursor, "limit", page(limit))
	return one(ask[Records](ctx, c, http.MethodGet, "/api/usage/records"+parameters, nil))
}

// FindRecords gives one page of the usage records of a period of at most a day, the newest dispatch first. org "" = of all; limit 0 = the server's default.
func (c *Client) FindRecords(ctx context.Context, org string, from, to time.Time, cursor string, limit int) (*Records, error) {
	parameters := search("org", org, "from", from.UTC().Format(time.RFC3339Nano), "to", to.UTC().Format(time.RFC3339Nano), "cursor", cursor, "limit", page(limit))
	return one(ask[Records](ctx, c, http.MethodGet, "/api/usage/records"+parameters, nil))
}

// Prune has the usage records deleted that are older than the server's retention. confirm says that its clock is right, where it is not believed.
func (c *Client) Prune(ctx context.Context, confirm bool) (*Pruning, error) {
	return one(ask[Pruning](ctx, c, http.MethodPost, "/api/store/prune", pruneOrder{confirm}))
}

// Metrics copies the server's metrics to w.
func (c *Client) Metrics(ctx context.Context, w io.Writer) error {
	response, err := c.do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("reading the metrics: %w", err)
	}
	return nil
}

// Ready returns nil where the server takes requests, else why not.
func (c *Client) Ready(ctx context.Context) error {
	_, err := ask[status](ctx, c, http.MethodGet, "/readyz", nil)
	return err
}

// search is a query of the parameters that are not empty.
func search(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}

func page(limit int) string {
	if limit == 0 {
		return ""
	}
	return strconv.Itoa(limit)
}

func one[T any](answer T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return &answer, nil
}

// ask sends body (nil = none) as JSON and reads the answer.
func ask[T any](ctx context.Context, c *Client, method, path string, body any) (answer T, err error) {
	response, err := c.do(ctx, method, path, body)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("reading the answer of %s: %w", c.BaseURL, err)
	}
	return answer, nil
}

// do gives an answer of 2xx, whose body the caller closes, or an error.
func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("writing the request: %w", err)
		}
		content = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.BaseURL, "/")+path, content)
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	return nil, c.refused(response)
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var transport *url.Error
	if errors.As(err, &transport) {
		err = transport.Err // without the URL: it is said here
	}
	return fmt.Errorf("no server answers at %s: %w; start one with `pilotlight dev`, or name another with --addr or PILOTLIGHT_ADDR", c.BaseURL, err)
}

// refused reads what the server refused, and adds what to do where the server cannot know.
func (c *Client) refused(response *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	var answer struct {
		Error *openai.Error `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Error == nil || answer.Error.Code == "" {
		return fmt.Errorf("%s answered %s, which is no answer of Pilotlight's admin API; is it the right address?", c.BaseURL, response.Status)
	}
	answer.Error.Status = response.StatusCode
	if answer.Error.Code == openai.CodeInvalidAPIKey {
		answer.Error.Message = "the server at " + c.BaseURL + " does not accept the admin token; set PILOTLIGHT_ADMIN_TOKEN to the server's"
	}
	return answer.Error
}
