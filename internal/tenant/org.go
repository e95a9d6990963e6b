package tenant

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// OrgState says whether an organisation's tokens work.
type OrgState string

// The states of an organisation.
const (
	Active    OrgState = "active"
	Suspended OrgState = "suspended"
)

// Org is an organisation: who pays.
type Org struct {
	Name      string
	Models    []string // that its tokens may use; empty = all
	Limits    Limits   // of all its tokens together
	State     OrgState
	CreatedAt time.Time  // UTC
	CutAt     *time.Time // UTC: requests that came before are cut, running ones too; nil = none
}

// NewOrg says what an organisation to be created is like.
type NewOrg struct {
	Name   string
	Models []string // that its tokens may use; empty = all
	Limits LimitsChange
}

// OrgChange says what UpdateOrg changes; nil fields stay.
type OrgChange struct {
	Models *[]string
	State  *OrgState
	Cut    bool // with Suspended: cuts what engines work on, too. What was cut stays so when the organisation is resumed
	Limits LimitsChange
}

// CreateOrg adds an active organisation. The error is ErrExists or an *InvalidError where one of these is the cause.
func (t *Tenants) CreateOrg(ctx context.Context, n NewOrg) (*Org, error) {
	if err := checkOrgName(n.Name); err != nil {
		return nil, err
	}
	org := &Org{Name: n.Name, State: Active, CreatedAt: now()}
	if err := t.apply(OrgChange{Models: &n.Models, Limits: n.Limits}, org); err != nil {
		return nil, err
	}
	return t.writeOrg(ctx, n.Name, func(existing *Org) (*Org, error) {
		if existing != nil {
			return nil, fmt.Errorf("organisation %s: %w", n.Name, ErrExists)
		}
		return org, nil
	})
}

// EnsureOrg gives the organisation as it is, or creates it with all models and no limits.
func (t *Tenants) EnsureOrg(ctx context.Context, name string) (*Org, error) {
	org, err := t.CreateOrg(ctx, NewOrg{Name: name})
	if errors.Is(err, ErrExists) {
		return t.Org(ctx, name)
	}
	return org, err
}

// UpdateOrg changes an organisation, and what its tokens may at once: all of the change or nothing. A suspended organisation's tokens stop working: what
// it has waiting ends, what engines work on goes on. The error is ErrNotFound or an *InvalidError where one of these is the cause.
func (t *Tenants) UpdateOrg(ctx context.Context, name string, c OrgChange) (*Org, error) {
	return t.writeOrg(ctx, name, func(o *Org) (*Org, error) {
		if o == nil {
			return nil, fmt.Errorf("organisation %s: %w", name, ErrNotFound)
		}
		return o, t.apply(c, o)
	})
}

// SuspendOrg makes an organisation's tokens stop working at once.
func (t *Tenants) SuspendOrg(ctx context.Context, name string) (*Org, error) {
	state := Suspended
	return t.UpdateOrg(ctx, name, OrgChange{State: &state})
}

// CutOrg is SuspendOrg, and cuts what engines work on.
func (t *Tenants) CutOrg(ctx context.Context, name string) (*Org, error) {
	state := Suspended
	return t.UpdateOrg(ctx, name, OrgChange{State: &state, Cut: true})
}

// ResumeOrg undoes SuspendOrg.
func (t *Tenants) ResumeOrg(ctx context.Context, name string) (*Org, error) {
	state := Active
	return t.UpdateOrg(ctx, name, OrgChange{State: &state})
}

// Org gives one organisation, or ErrNotFound.
func (t *Tenants) Org(ctx context.Context, name string) (*Org, error) {
	o, err := scanOrg(t.store.DB().QueryRowContext(ctx, selectOrg+" WHERE name = $1", name))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("organisation %s: %w", name, ErrNotFound)
	}
	return o, err
}

// Orgs gives all organisations by name.
func (t *Tenants) Orgs(ctx context.Context) ([]Org, error) {
	return collect(ctx, t.store.DB(), scanOrg, selectOrg+" ORDER BY name")
}

// apply makes a change of an organisation, or says what is wrong with it.
func (t *Tenants) apply(c OrgChange, o *Org) (err error) {
	at := now()
	if c.Models != nil {
		if o.Models, err = t.models(*c.Models); err != nil {
			return err
		}
	}
	if o.Limits, err = o.Limits.after(c.Limits, at); err != nil {
		return err
	}
	if c.State != nil {
		if err := checkState(*c.State); err != nil {
			return err
		}
	}
	if c.Cut && (c.State == nil || *c.State != Suspended) {
		return &InvalidError{"now", "it goes with state suspended, and cuts what is running"}
	}
	set(&o.State, c.State)
	if c.Cut {
		o.CutAt = &at
	}
	return nil
}

// writeOrg replaces an organisation by what change makes of it; change gets nil for one that does not exist.
func (t *Tenants) writeOrg(ctx context.Context, name string, change func(*Org) (*Org, error)) (*Org, error) {
	var org *Org
	err := t.write(ctx, func(tx *sql.Tx, version int64) error {
		existing, err := scanOrg(tx.QueryRowContext(ctx, selectOrg+" WHERE name = $1", name))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		before := existing.audited(now())
		if org, err = change(existing); err != nil {
			return err
		}
		if err := putOrg(ctx, tx, org, version); err != nil {
			return err
		}
		return noteOrg(ctx, tx, "", before, org)
	})
	return org, err
}

func putOrg(ctx context.Context, tx *sql.Tx, o *Org, version int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO orgs (name, models, state, created_at, cut_at, version, `+limitColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (name) DO UPDATE SET models = excluded.models, state = excluded.state, cut_at = excluded.cut_at, version = excluded.version, `+limitUpdates,
		append([]any{o.Name, list(o.Models), string(o.State), o.CreatedAt.UnixMicro(), micros(o.CutAt), version}, o.Limits.values()...)...)
	if err != nil {
		return fmt.Errorf("writing organisation %s: %w", o.Name, err)
	}
	return nil
}

const selectOrg = "SELECT name, models, state, created_at, cut_at, " + limitColumns + " FROM orgs"

func scanOrg(row scanner) (*Org, error) {
	var o Org
	var created, cut moment
	if err := row.Scan(append([]any{&o.Name, (*jsonList[string])(&o.Models), &o.State, &created, &cut}, o.Limits.into()...)...); err != nil {
		return nil, err
	}
	o.CreatedAt, o.CutAt = time.Time(created), given(time.Time(cut))
	return &o, nil
}
