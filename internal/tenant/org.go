package tenant

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
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
	Name      string     `json:"name"`
	Models    []string   `json:"models"` // that its tokens may use; empty = all
	State     OrgState   `json:"state"`
	CreatedAt time.Time  `json:"created_at"` // UTC
	CutAt     *time.Time `json:"-"`          // UTC: requests that came before are cut, running ones too; nil = none
}

// OrgChange says what UpdateOrg changes; nil fields stay.
type OrgChange struct {
	Models *[]string
}

var orgName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CreateOrg adds an active organisation. models may be empty: all. The error is ErrExists or an *InvalidError where one of
// these is the cause.
func (t *Tenants) CreateOrg(ctx context.Context, name string, models []string) (*Org, error) {
	if !orgName.MatchString(name) {
		return nil, &InvalidError{"name", fmt.Sprintf("%q is not an organisation's name; use 1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit", name)}
	}
	models, err := t.models(models)
	if err != nil {
		return nil, err
	}
	return t.writeOrg(ctx, name, func(existing *Org) (*Org, error) {
		if existing != nil {
			return nil, fmt.Errorf("organisation %s: %w", name, ErrExists)
		}
		return &Org{Name: name, Models: models, State: Active, CreatedAt: now()}, nil
	})
}

// EnsureOrg gives the organisation as it is, or creates it with all models.
func (t *Tenants) EnsureOrg(ctx context.Context, name string) (*Org, error) {
	org, err := t.CreateOrg(ctx, name, nil)
	if errors.Is(err, ErrExists) {
		return t.Org(ctx, name)
	}
	return org, err
}

// UpdateOrg changes an organisation, and the rights of its tokens at once.
func (t *Tenants) UpdateOrg(ctx context.Context, name string, c OrgChange) (*Org, error) {
	return t.changeOrg(ctx, name, func(o *Org) error {
		if c.Models == nil {
			return nil
		}
		models, err := t.models(*c.Models)
		o.Models = models
		return err
	})
}

// SuspendOrg makes an organisation's tokens stop working at once: what it has waiting ends, what engines work on goes on.
func (t *Tenants) SuspendOrg(ctx context.Context, name string) (*Org, error) {
	return t.changeOrg(ctx, name, func(o *Org) error { o.State = Suspended; return nil })
}

// CutOrg is SuspendOrg, and cuts what engines work on. What was cut stays so when the organisation is resumed.
func (t *Tenants) CutOrg(ctx context.Context, name string) (*Org, error) {
	return t.changeOrg(ctx, name, func(o *Org) error {
		at := now()
		o.State, o.CutAt = Suspended, &at
		return nil
	})
}

// ResumeOrg undoes SuspendOrg.
func (t *Tenants) ResumeOrg(ctx context.Context, name string) (*Org, error) {
	return t.changeOrg(ctx, name, func(o *Org) error { o.State = Active; return nil })
}

// Org gives one organisation, or ErrNotFound.
func (t *Tenants) Org(ctx context.Context, name string) (*Org, error) {
	o, err := scanOrg(t.store.DB().QueryRowContext(ctx, selectOrg+" WHERE name = ?", name))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("organisation %s: %w", name, ErrNotFound)
	}
	return o, err
}

// Orgs gives all organisations by name.
func (t *Tenants) Orgs(ctx context.Context) ([]Org, error) {
	return collect(ctx, t.store.DB(), scanOrg, selectOrg+" ORDER BY name")
}

func (t *Tenants) changeOrg(ctx context.Context, name string, change func(*Org) error) (*Org, error) {
	return t.writeOrg(ctx, name, func(o *Org) (*Org, error) {
		if o == nil {
			return nil, fmt.Errorf("organisation %s: %w", name, ErrNotFound)
		}
		return o, change(o)
	})
}

// writeOrg replaces an organisation by what change makes of it; change gets nil for one that does not exist.
func (t *Tenants) writeOrg(ctx context.Context, name string, change func(*Org) (*Org, error)) (*Org, error) {
	var org *Org
	err := t.write(ctx, func(tx *sql.Tx, version int64) error {
		existing, err := scanOrg(tx.QueryRowContext(ctx, selectOrg+" WHERE name = ?", name))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if org, err = change(existing); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO orgs (name, models, state, created_at, cut_at, version) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET models = excluded.models, state = excluded.state, cut_at = excluded.cut_at, version = excluded.version`,
			org.Name, list(org.Models), string(org.State), org.CreatedAt.UnixMicro(), micros(org.CutAt), version)
		return err
	})
	return org, err
}

// models checks an allow-list and gives it sorted, without doubles.
func (t *Tenants) models(models []string) ([]string, error) {
	known := *t.known.Load()
	for _, m := range models {
		if m == "" || known != nil && !slices.Contains(known, m) {
			return nil, &InvalidError{"models", fmt.Sprintf("there is no model %q; `pilotlight model list` names them", m)}
		}
	}
	sorted := append([]string{}, models...)
	slices.Sort(sorted)
	return slices.Compact(sorted), nil
}

const selectOrg = "SELECT name, models, state, created_at, cut_at FROM orgs"

func scanOrg(row scanner) (*Org, error) {
	var o Org
	var created int64
	var cut sql.NullInt64
	if err := row.Scan(&o.Name, (*jsonList[string])(&o.Models), &o.State, &created, &cut); err != nil {
		return nil, err
	}
	o.CreatedAt, o.CutAt = time.UnixMicro(created).UTC(), instant(cut)
	return &o, nil
}
