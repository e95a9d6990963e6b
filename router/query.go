package router

import (
	"errors"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// checkQuery refuses a parameter that is not known, or comes twice.
func checkQuery(ctx *fasthttp.RequestCtx, known []string) *failure {
	if len(ctx.URI().QueryString()) == 0 {
		return nil
	}
	return queryFailure(edge.CheckQuery(ctx.QueryArgs(), known))
}

// usageParameters are what usageQuery reads.
var usageParameters = []string{"by", "cursor", "from", "limit", "to"}

func usageQuery(args *fasthttp.Args) (q ledger.Query, f *failure) {
	values := edge.Query(args)
	q.By, q.Cursor = ledger.By(values["by"]), values["cursor"]
	var err error
	if q.From, q.To, err = edge.Period(values); err != nil {
		return q, queryFailure(err)
	}
	q.Limit, err = edge.PageSize(values, ledger.MaxUsageLimit)
	return q, queryFailure(err)
}

// queryFailure is what is wrong with a query; nil for nothing.
func queryFailure(err error) *failure {
	var wrong *openai.Error
	if !errors.As(err, &wrong) {
		return nil
	}
	f := failf(codeInvalidRequest, "%s.", wrong.Message)
	if wrong.Param != nil {
		f.param = *wrong.Param
	}
	return f
}
