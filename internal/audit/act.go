package audit

import "context"

// Via is how an act has reached the server.
type Via string

// The ways in.
const (
	API     Via = "api"
	Console Via = "console"
	Signal  Via = "signal"
)

// Who does something, and from where.
type Who struct {
	Actor   string // name of an admin token, ID of an organisation's token, or a signal
	Org     string // of the actor; "" = it is an operator
	Via     Via
	From    string // address that the request came from; "" = it was none
	Request string // its ID
}

// Act is one thing that somebody does. It belongs to the goroutine that does it, until Log.End. A nil Act takes what it is told, and keeps nothing.
type Act struct {
	Who
	Action string // a noun and a verb, such as org.update
	change Change
	noted  *mark // the last entry that was noted of it; nil = none
}

// Change is what an act has changed. Before and After are what JSON makes an object of, or nil; of two objects only the members that differ are kept.
type Change struct {
	Action        string // "" = the act's
	Subject       string // a kind and a name, such as org/acme; "" = what On has said
	Before, After any
}

type mark struct {
	id   int64
	hash Hash
}

// On says what the act is about, for the case that nothing is noted of it.
func (a *Act) On(subject string) {
	if a != nil {
		a.change.Subject = subject
	}
}

// Is says more closely what the act is.
func (a *Act) Is(action string) {
	if a != nil {
		a.Action = action
	}
}

// Changes says what the act changes outside of the store.
func (a *Act) Changes(before, after any) {
	if a != nil {
		a.change.Before, a.change.After = before, after
	}
}

type key struct{}

// With gives a context whose changes are those of an act.
func With(ctx context.Context, a *Act) context.Context { return context.WithValue(ctx, key{}, a) }

// Of gives the act that a context is of; nil for none.
func Of(ctx context.Context) *Act {
	a, _ := ctx.Value(key{}).(*Act)
	return a
}
