package invoice

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("invoice").Funcs(template.FuncMap{
	"usd":     fleet.NanoUSD.String,
	"exact":   exact,
	"seconds": seconds,
	"count":   grouped,
	"minute":  func(i *ledger.Instant) string { return i.UTC().Format("2006-01-02 15:04 UTC") },
}).Parse(pageText))

// Page writes an invoice as one HTML page, for screen and paper. It refers to nothing outside itself.
func Page(w io.Writer, i *ledger.Invoice) error {
	if err := page.Execute(w, i); err != nil {
		return fmt.Errorf("writing an invoice's page: %w", err)
	}
	return nil
}

// exact writes an amount in dollars with nine decimals, so that amounts below each other are in line.
func exact(n fleet.NanoUSD) string {
	sign, u := "", uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s%s.%09d", sign, grouped(int64(u/1e9)), u%1e9)
}

// seconds writes microseconds as seconds, exactly, with groups of three digits before the point.
func seconds(us int64) string {
	sign := ""
	if us < 0 {
		sign = "-"
	}
	u := max(us, -us)
	return fmt.Sprintf("%s%s.%06d", sign, grouped(u/1e6), u%1e6)
}

// grouped writes a number with a thin space between each three digits.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	sign, digits := digits[:len(digits)-len(strings.TrimPrefix(digits, "-"))], strings.TrimPrefix(digits, "-")
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "\u2009" + digits[at:]
	}
	return sign + digits
}
