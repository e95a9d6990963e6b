package config

import (
	"math"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// config fills c, which holds the defaults, from the file.
func (r *reader) config(f *fileHCL, c *Config) {
	r.word(f.Cluster, &c.Cluster)
	r.listeners(f, c)
	if f.Price != nil {
		r.money(f.Price.GPUHourUSD, &c.Price)
	}
	if f.Store != nil {
		r.store(f.Store, &c.Store)
	}
	if f.Ledger != nil {
		r.path(f.Ledger.Dir, &c.Ledger.Dir)
		r.choice(f.Ledger.Durability, &c.Ledger.Durability, DurabilityAsync, DurabilitySync)
		r.span(f.Ledger.Retention, &c.Ledger.Retention, 24*time.Hour)
	}
	c.Webhooks = r.webhooks(f.Webhooks)
	r.telemetry(f.Telemetry, &c.Telemetry)
	if f.Autoscaler != nil {
		r.choice(f.Autoscaler.Policy, &c.Autoscaler.Policy, PolicyAdaptive, PolicyFixed, PolicyKPA, PolicyHybrid)
		r.weight(f.Autoscaler.LatencyWeight, &c.Autoscaler.LatencyWeight)
		r.share(f.Autoscaler.IdleCost, &c.Autoscaler.IdleCost)
	}
	r.backends(f.Backends, &c.Backend)
	r.servers(f.Servers, c)
	c.Pools = r.pools(f.Pools, c.Backend)
	c.Models = r.models(f, c)
	r.poolsHold(f, c)
}

func (r *reader) listeners(f *fileHCL, c *Config) {
	if f.API != nil {
		r.addr(f.API.Addr, &c.API.Addr)
		r.pathAliases(f.API.PathAliases, &c.API.PathAliases)
		r.origins(f.API.CORSOrigins, &c.API.CORSOrigins)
		r.size(f.API.BodyLimit, &c.API.BodyLimit, 1<<10)
		r.choice(f.API.Keepalive, &c.API.Keepalive, "off", "comment", "chunk")
		r.span(f.API.StreamHeartbeat, &c.API.StreamHeartbeat, 100*time.Millisecond)
		r.bodyBudget(f.API.BodyBudget, &c.API)
		r.size(f.API.EventLimit, &c.API.EventLimit, 64<<10)
		r.count(f.API.MaxConnections, &c.API.MaxConnections, 0, maxConnections)
		r.accessLog(f.API.AccessLog, &c.API.AccessLog)
		r.tls(f.API.TLS, &c.API.TLS)
	}
	if f.Admin != nil {
		r.addr(f.Admin.Addr, &c.Admin.Addr)
		r.variable(f.Admin.TokenEnv, &c.Admin.TokenEnv)
		c.Admin.Tokens = r.adminTokens(f.Admin.Tokens)
		r.tls(f.Admin.TLS, &c.Admin.TLS)
	}
	if c.Admin.Addr != c.API.Addr || strings.HasSuffix(c.API.Addr, ":0") {
		return
	}
	var at hcl.Range
	if f.API != nil && f.API.Addr != nil {
		at = f.API.Addr.Range
	} else {
		at = f.Admin.Addr.Range // one of both was written, or the defaults would clash
	}
	r.wrong(at, "api and admin both listen on %s; give them different ports", c.API.Addr)
}

func (r *reader) servers(f *serversHCL, c *Config) {
	if f == nil {
		return
	}
	if c.Backend.Kind != BackendNomad {
		r.wrong(f.Range, `servers belongs to backend "nomad"; leave it out`)
		return
	}
	r.addr(f.Addr, &c.Servers.Addr)
	r.variable(f.KeyEnv, &c.Servers.KeyEnv)
	r.advertised(f.Advertise, &c.Servers.Advertise)
	if f.Addr == nil || strings.HasSuffix(c.Servers.Addr, ":0") {
		return
	}
	for name, other := range map[string]string{"api": c.API.Addr, "admin": c.Admin.Addr} {
		if c.Servers.Addr == other {
			r.wrong(f.Addr.Range, "servers and %s both listen on %s; give them different ports", name, other)
		}
	}
}

// advertised reads an address that others can reach.
func (r *reader) advertised(attr *hcl.Attribute, to *string) {
	const right = `host:port in quotes, such as "10.0.0.5:8082"`
	var s string
	if !r.text(attr, &s, right) || s == "" {
		return
	}
	host, port, err := net.SplitHostPort(s)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if ip := net.ParseIP(host); err != nil || portErr != nil || n == 0 || host == "" || strings.ContainsAny(host, " /") || ip != nil && ip.IsUnspecified() {
		r.wrong(attr.Expr.Range(), "%s: %q is no address at which others reach this server; write %s", attr.Name, s, right)
		return
	}
	*to = s
}

// bodyBudget reads the memory for bodies, which grows with the largest body where the file does not say how large it is.
func (r *reader) bodyBudget(attr *hcl.Attribute, a *API) {
	least := bodiesInBudget * a.BodyLimit
	if attr == nil {
		a.BodyBudget = max(a.BodyBudget, least)
		return
	}
	r.size(attr, &a.BodyBudget, 1<<10)
	if a.BodyBudget < least {
		r.wrong(attr.Expr.Range(), "body_budget is %s; it must be at least %d times body_limit, which is %s", a.BodyBudget, bodiesInBudget, a.BodyLimit)
	}
}

func (r *reader) store(f *storeHCL, s *Store) {
	switch f.Kind {
	case StoreSQLite:
		r.path(f.Path, &s.Path)
		r.misplaced(f.URLEnv, `store "postgres"`)
	case StorePostgres:
		*s = Store{Kind: StorePostgres, URLEnv: defaultURLEnv}
		r.variable(f.URLEnv, &s.URLEnv)
		r.misplaced(f.Path, `store "sqlite"`)
	default:
		r.wrong(f.Range, "store %q is unknown; %s", f.Kind, suggestion(f.Kind, []string{StoreSQLite, StorePostgres}))
	}
}

func (r *reader) backends(blocks []*backendHCL, b *Backend) {
	for i, f := range blocks {
		if i > 0 {
			r.wrong(f.Range, "a file holds one backend, and line %d has one; leave one of them", blocks[0].Range.Start.Line)
			continue
		}
		switch f.Kind {
		case BackendLocal:
			r.count(f.GPUs, &b.GPUs, 0, maxGPUs)
			r.size(f.HostMemory, &b.HostMemory, 0)
			r.misplaced(f.Addr, `backend "nomad"`)
			r.misplaced(f.TokenEnv, `backend "nomad"`)
			r.misplaced(f.Namespace, `backend "nomad"`)
			r.misplaced(f.Datacenters, `backend "nomad"`)
			r.misplaced(f.NodePool, `backend "nomad"`)
			if f.Consul != nil {
				r.wrong(f.Consul.Range, `consul belongs to backend "nomad"; leave it out`)
			}
		case BackendNomad:
			*b = defaultNomad()
			r.nomad(f, b)
		default:
			r.wrong(f.Range, "backend %q is unknown; %s", f.Kind, suggestion(f.Kind, []string{BackendLocal, BackendNomad}))
		}
	}
}

func (r *reader) nomad(f *backendHCL, b *Backend) {
	r.misplaced(f.GPUs, `backend "local"`)
	r.misplaced(f.HostMemory, `backend "local"`)
	r.serverURL(f.Addr, &b.Nomad.Addr)
	r.variable(f.TokenEnv, &b.Nomad.TokenEnv)
	r.word(f.Namespace, &b.Nomad.Namespace)
	r.list(f.Datacenters, &b.Nomad.Datacenters, `datacenters = ["*"]`, notEmpty)
	r.word(f.NodePool, &b.Nomad.NodePool)
	if f.Consul != nil {
		r.serverURL(f.Consul.Addr, &b.Consul.Addr)
		r.variable(f.Consul.TokenEnv, &b.Consul.TokenEnv)
	}
}

// bounds reads a block of min and max.
func (r *reader) bounds(f *rangeHCL, to *fleet.Range, name string) {
	if f == nil {
		return
	}
	b := *to
	r.count(f.Min, &b.Min, 0, math.MaxInt32)
	r.count(f.Max, &b.Max, 1, math.MaxInt32)
	if b.Min > b.Max {
		byDefault := ""
		if f.Max == nil {
			byDefault = " (the default)"
		}
		at := f.Range
		if f.Min != nil {
			at = f.Min.Range
		}
		r.wrong(at, "%s: min %d is more than max %d%s; raise max or lower min", name, b.Min, b.Max, byDefault)
		return
	}
	*to = b
}

// gpus reads a number of GPUs that a block of them can have.
func (r *reader) gpus(attr *hcl.Attribute, to *int, least int) bool {
	var n int
	if !r.count(attr, &n, least, maxGPUs) {
		return false
	}
	if n&(n-1) != 0 || n > 8 {
		r.wrong(attr.Expr.Range(), "%s is %d; engines run on 1, 2, 4 or 8 GPUs", attr.Name, n)
		return false
	}
	*to = n
	return true
}

var (
	wordPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	aliasPattern    = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)
)

func (r *reader) word(attr *hcl.Attribute, to *string) {
	var s string
	if !r.text(attr, &s, "a name in quotes") {
		return
	}
	if !wordPattern.MatchString(s) {
		r.wrong(attr.Expr.Range(), "%s: %q; a name has letters, digits, - and _, at most 63", attr.Name, s)
		return
	}
	*to = s
}

func (r *reader) variable(attr *hcl.Attribute, to *string) {
	var s string
	if !r.text(attr, &s, "the name of an environment variable in quotes") {
		return
	}
	if !variablePattern.MatchString(s) {
		r.wrong(attr.Expr.Range(), "%s: %q names no environment variable; write its name, such as \"PILOTLIGHT_ADMIN_TOKEN\", never the secret itself", attr.Name, redacted(s))
		return
	}
	*to = s
}

// redacted keeps what may be a secret, put where its variable's name belongs, out of terminals and logs.
func redacted(s string) string { return s[:min(len(s), 4)] + "…" }

func (r *reader) addr(attr *hcl.Attribute, to *string) {
	const right = `host:port in quotes, such as "127.0.0.1:8080"`
	var s string
	if !r.text(attr, &s, right) {
		return
	}
	host, port, err := net.SplitHostPort(s)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || strings.ContainsAny(host, " /") {
		r.wrong(attr.Expr.Range(), "%s: %q is no address to listen on; write %s", attr.Name, s, right)
		return
	}
	*to = net.JoinHostPort(host, strconv.FormatUint(n, 10))
}

func (r *reader) serverURL(attr *hcl.Attribute, to *string) {
	const right = `a URL in quotes, such as "http://127.0.0.1:4646"`
	var s string
	if !r.text(attr, &s, right) {
		return
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		r.wrong(attr.Expr.Range(), "%s is no address of a server; write %s", attr.Name, right)
		return
	}
	*to = s
}

func (r *reader) pathAliases(attr *hcl.Attribute, to *[]string) {
	seen := map[string]bool{"/v1": true}
	r.list(attr, to, `a list such as ["/api/integrations/dgx/v1"]`, func(s string) string {
		switch {
		case !aliasPattern.MatchString(s):
			return "is no prefix; write a path such as \"/openai/v1\", without a slash at its end"
		case seen[s]:
			return "is served already; leave it out"
		case s == "/healthz" || s == "/health" || s == "/readyz" || s == "/openapi.json" || s == "/console" || strings.HasPrefix(s, "/v1/"):
			return "would hide a path of ours; choose another"
		}
		seen[s] = true
		return ""
	})
}

// origins reads origins as browsers write them: anything else would never match one.
func (r *reader) origins(attr *hcl.Attribute, to *[]string) {
	r.list(attr, to, `a list such as ["https://chat.example.com"]`, func(s string) string {
		u, err := url.Parse(s)
		switch {
		case s == "*":
			return ""
		case err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || s != strings.ToLower(u.Scheme+"://"+u.Host):
			return "is no origin; write scheme and host in small letters, such as \"https://chat.example.com\" or \"http://localhost:5173\", or \"*\" for all"
		case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
			return "names the port that browsers leave out; leave it out, too"
		}
		return ""
	})
}

// path reads a path; a relative one is relative to the base directory.
func (r *reader) misplaced(attr *hcl.Attribute, where string) {
	if attr != nil {
		r.wrong(attr.NameRange, "%s belongs to %s; leave it out", attr.Name, where)
	}
}

func notEmpty(s string) string {
	if strings.TrimSpace(s) == "" {
		return "is empty; leave it out"
	}
	return ""
}
