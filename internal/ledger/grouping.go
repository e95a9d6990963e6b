package ledger

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// By says how usage is grouped: one of these, or two with a comma between them.
type By string

// Rows are always per org and model; the others split them further.
const (
	ByModel By = "model"
	ByToken By = "token"
	ByDay   By = "day"
	ByHour  By = "hour"
)

// MaxHours is the longest period that can be grouped by hour: there are sums of days, but none of hours.
const MaxHours = 31 * 24 * time.Hour

const hourMicros = int64(time.Hour / time.Microsecond)

// grouping is a By that is understood.
type grouping struct{ token, day, hour bool }

// grouping understands a By; empty = ByModel. The error is an *InvalidError.
func (by By) grouping() (g grouping, err error) {
	if by == "" {
		return g, nil
	}
	keys := strings.Split(string(by), ",")
	for i, key := range keys {
		if slices.Contains(keys[:i], key) {
			return g, &InvalidError{"by", fmt.Sprintf("%q is there twice; leave one of them", key)}
		}
		switch By(key) {
		case ByModel:
		case ByToken:
			g.token = true
		case ByDay:
			g.day = true
		case ByHour:
			g.hour = true
		default:
			return g, &InvalidError{"by", fmt.Sprintf("there is no grouping %q; use one or two of model, token, day, hour, such as day,token", key)}
		}
	}
	if len(keys) > 2 {
		return g, &InvalidError{"by", fmt.Sprintf("%d keys are too many; use one or two of model, token, day, hour", len(keys))}
	}
	return g, nil
}

// HasToken reports whether rows have a token.
func (by By) HasToken() bool { g, _ := by.grouping(); return g.token }

// HasDay reports whether rows have a day.
func (by By) HasDay() bool { g, _ := by.grouping(); return g.day }

// HasHour reports whether rows have an hour.
func (by By) HasHour() bool { g, _ := by.grouping(); return g.hour }

// columns are those of the sums' tables that rows are grouped by, in the order of the rows. Hours have no tables.
func (g grouping) columns() (all []string) {
	if g.day {
		all = append(all, "day")
	}
	all = append(all, "org")
	if g.token {
		all = append(all, "token_id")
	}
	return append(all, "model")
}

// group is the row that something belongs to which was dispatched at a moment. By hour, day is the hour since 1970.
func (g grouping) group(at int64, org, tokenID, model string) dayKey {
	k := dayKey{org: org, model: model}
	if g.token {
		k.tokenID = tokenID
	}
	switch {
	case g.hour:
		k.day = floorTo(at, hourMicros)
	case g.day:
		k.day = floorTo(at, dayMicros)
	}
	return k
}

// compareKeys orders rows. Databases compare texts by their bytes, as Go does.
func compareKeys(a, b dayKey) int {
	return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.org, b.org), cmp.Compare(a.tokenID, b.tokenID), cmp.Compare(a.model, b.model))
}

func (g grouping) row(k dayKey, s *sums) UsageRow {
	row, unit := s.row(k), dayMicros
	if g.hour {
		unit = hourMicros
	}
	at := time.UnixMicro(k.day * unit).UTC()
	if g.day {
		row.Day = at.Format(time.DateOnly)
	}
	if g.hour {
		row.Hour = at.Format(time.RFC3339)
	}
	return row
}

// name is the same for all ways to write a grouping.
func (g grouping) name() string { return fmt.Sprintf("%t/%t/%t", g.token, g.day, g.hour) }

// cursor names a row by its group.
func (g grouping) cursor(k dayKey) string {
	text, err := json.Marshal([]string{g.name(), strconv.FormatInt(k.day, 10), k.org, k.tokenID, k.model})
	if err != nil {
		panic(fmt.Sprintf("ledger: marshalling strings: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseCursor gives the group that a cursor names; nil for none.
func (g grouping) parseCursor(cursor string) (*dayKey, error) {
	if cursor == "" {
		return nil, nil
	}
	invalid := &InvalidError{"cursor", "it is not one of this query; use the next_cursor of the page before"}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	var keys []string
	if err != nil || json.Unmarshal(text, &keys) != nil || len(keys) != 5 || keys[0] != g.name() {
		return nil, invalid
	}
	day, err := strconv.ParseInt(keys[1], 10, 64)
	if err != nil {
		return nil, invalid
	}
	return &dayKey{day: day, org: keys[2], tokenID: keys[3], model: keys[4]}, nil
}
