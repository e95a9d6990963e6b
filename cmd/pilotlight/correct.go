package main

import (
	"cmp"
	"errors"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// correctCmd takes something off what a usage record costs.
type correctCmd struct {
	Record    string `arg:"" help:"The id of a usage record, as invoice receipts and /api/usage/records show it."`
	CreditUSD string `name:"credit-usd" placeholder:"N" xor:"credit" help:"How much to take off, in US dollars."`
	All       bool   `xor:"credit" help:"Take off all that is left of its cost."`
	Reason    string `required:"" placeholder:"TEXT" help:"Why; the organisation reads it, too."`
	Key       string `placeholder:"KEY" help:"An idempotency key: asked again with the same one, the correction is made once."`
	By        string `placeholder:"NAME" help:"Who asks, for the server's log; $$USER if not given."`
	serverFlags
	jsonFlag
}

// Run makes the correction and prints the record that it is.
func (c correctCmd) Run(env *Env) error {
	if c.CreditUSD == "" && !c.All {
		return errors.New("say how much to take off: --credit-usd N, or --all")
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	made, err := client.Correct(env.ctx, admin.Correction{
		Record: c.Record, CreditUSD: c.CreditUSD, Reason: c.Reason, IdempotencyKey: c.Key, By: cmp.Or(c.By, env.Getenv("USER")),
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, made)
	}
	t := newTable("CORRECTION", "RECORD", "ORG", ">COST USD", "REASON")
	t.row(made.ID, made.Corrects, made.Org, made.Cost, made.Reason)
	return t.write(env.Stdout)
}
