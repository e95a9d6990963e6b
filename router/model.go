package router

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// model is a model of the config with what the router derives from it once.
type model struct {
	*fleet.Model
	price   string        // US dollars per second of a request, a decimal
	engine  openai.Engine // what requests may carry to it
	salted  bool          // its engines take a cache salt
	metrics *modelMetrics
}

func newModel(m *fleet.Model, price fleet.NanoUSD, rm *routerMetrics) *model {
	return &model{
		Model: m, price: perSecond(price, m.GPUs), metrics: rm.forModel(m.ID),
		engine: openai.Engine{Kind: string(m.Engine.Kind), Allow: m.Allow}, salted: m.Engine.Kind.CacheSalt(),
	}
}

// perSecond gives the price of a second, rounded half to even to a nano-dollar. Bills use the exact price.
func perSecond(hour fleet.NanoUSD, gpus int) string {
	exact := big.NewRat(int64(hour), 3600)
	exact.Mul(exact, big.NewRat(int64(gpus), 1))
	nano, rest := new(big.Int).QuoRem(exact.Num(), exact.Denom(), new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(exact.Denom()) {
	case 1:
		nano.Add(nano, big.NewInt(1))
	case 0:
		nano.Add(nano, big.NewInt(int64(nano.Bit(0))))
	}
	return fleet.NanoUSD(nano.Int64()).String()
}

// salt gives the cache salt of an organisation: one that no caller can choose, the same in every server and after every
// restart. Prefixes cached for one organisation are then never hit by another's requests, whose timing would tell of them.
// It need not be secret: a caller's own cache_salt is overridden.
func (r *Router) salt(org string) string {
	if s, ok := r.salts.Load(org); ok {
		return s.(string)
	}
	sum := sha256.Sum256([]byte("pilotlight cache salt\x00" + org))
	s := hex.EncodeToString(sum[:16])
	r.salts.Store(org, s)
	return s
}

// tooLong is the failure of a request whose prompt cannot fit into the model's context, however its tokens are counted. It is no use to start an engine for it.
func (m *model) tooLong(in *intake) *failure {
	least := in.fields.LeastPrompt
	if m.ContextLength == 0 || least < m.ContextLength {
		return nil
	}
	return m.exceeded(fmt.Sprintf("The prompt has %d tokens at the very least.", least)).at(in.endpoint.prompt)
}

// exceeded begins with OpenAI's words, by which some clients know what has happened, as others do by the code.
func (m *model) exceeded(detail string) *failure {
	const words = "This model's maximum context length is "
	switch {
	case strings.HasPrefix(detail, words):
		return failf(codeContextLength, "%s", detail)
	case m.ContextLength > 0:
		return failf(codeContextLength, words+"%d tokens. %s", m.ContextLength, detail)
	}
	return failf(codeContextLength, words+"exceeded. %s", detail)
}

// refuses is the failure of a request that its engines may not receive, nil for one that they may.
func (m *model) refuses(f *openai.Fields) *failure {
	found := f.Refused(&m.engine)
	switch {
	case found == nil:
		return nil
	case found.Name == openai.RemoteMedia:
		return m.remote(found.Path)
	}
	return failf(codeInvalidRequest, "The parameter %q is not known to the engine of %q, or controls it, and the model does not allow it.", found.Path, m.ID).at(found.Path)
}

// remote is the failure of a request with media, at a path of its body, that the engine would have to fetch.
func (m *model) remote(at string) *failure {
	return failf(codeInvalidRequest, "%q is to be fetched by the engine, which the model %q does not allow: send the media as a data: URL.", at, m.ID).at(at)
}
