package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/*.css assets/*.js assets/*.svg assets/vendor/*.js assets/vendor/*.css
var assetFiles embed.FS

// assets are the files that pages load, by name. What is loaded is named with its hash, so that a browser keeps it for good. Like the templates they are
// read by the first console, not by every command that starts.
var assets = sync.OnceValue(readAssets)

type assetFile struct {
	data []byte
	hash string
	kind string
}

func readAssets() map[string]assetFile {
	all := map[string]assetFile{}
	for _, dir := range []string{"assets", "assets/vendor"} {
		entries, err := assetFiles.ReadDir(dir)
		if err != nil {
			panic(err) // they are embedded
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			data, err := assetFiles.ReadFile(dir + "/" + e.Name())
			if err != nil {
				panic(err)
			}
			sum := sha256.Sum256(data)
			all[e.Name()] = assetFile{data, hex.EncodeToString(sum[:6]), mime.TypeByExtension(path.Ext(e.Name()))}
		}
	}
	return all
}

func asset(c *fiber.Ctx) error {
	a, ok := assets()[c.Params("name")]
	if !ok || c.Params("hash") != a.hash {
		return errNoPage
	}
	c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	c.Set(fiber.HeaderContentType, a.kind)
	return c.Send(a.data)
}

var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, "templates/*.html"))
})

// functions are what templates may call.
var functions = template.FuncMap{
	"asset": func(base, name string) string { return base + "/assets/" + assets()[name].hash + "/" + name },
	"usd":   usd, "about": about, "took": took, "count": count, "moment": moment, "day": func(t time.Time) string { return t.UTC().Format("2006-01-02") },
	"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) }, "us": func(n int64) time.Duration { return time.Duration(n) * time.Microsecond },
	"modelPath": modelPath, "permille": func(n int) string { return "w" + strconv.Itoa((n+5)/10) },
	"has": func(all []string, one string) bool {
		for _, s := range all {
			if s == one {
				return true
			}
		}
		return false
	},
	"words": func(v any) string { return strings.ReplaceAll(fmt.Sprint(v), "_", " ") },
	"list":  func(all ...string) []string { return all },
	"int64": func(n int) int64 { return int64(n) },
	"str":   func(v any) string { return fmt.Sprint(v) },
	"last":  lastOf, "before": func(s string) string { return s[:len(s)-len(lastOf(s))] },
	"plus":  func(a, b time.Duration) time.Duration { return a + b },
	"hours": func(us int64) string { return strconv.FormatFloat(float64(us)/3.6e9, 'f', 3, 64) },
	"dict": func(pairs ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i+1 < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	},
}

// frame is what every page has around what it shows.
type frame struct {
	Base, Title, Name, Version string
	Operator                   bool   // the visitor sees everybody's
	MayChange                  bool   // forms that change something are shown
	Bills                      bool   // of the role billing: only what has to do with bills is shown
	Who                        string // of an admin
	Org                        string // of a caller
	SignedIn                   bool
	At                         string // path, for the link that is current
	Page                       any
}

func (f frame) MaySee(operator bool) bool { return f.Operator || !operator }

// show answers with a page.
func (v *visit) show(status int, name, title string, page any) error {
	return v.side.render(v.Ctx, v, status, name, title, page)
}

func (s *side) render(c *fiber.Ctx, v *visit, status int, name, title string, page any) error {
	f := frame{Base: s.base, Title: title, Name: name, Version: s.c.Version, Page: page, At: strings.TrimPrefix(c.Path(), s.base)}
	if v != nil {
		f.SignedIn, f.Operator, f.MayChange, f.Bills = true, v.isOperator(), v.mayChange(), v.admin.Role == access.Billing
		if f.Who = "Operator"; v.admin.Name != access.Root {
			f.Who = v.admin.Name + ", " + string(v.admin.Role)
		}
		if v.grant != nil {
			f.Org = v.grant.Org
		}
	}
	var inner, b bytes.Buffer
	if err := templates().ExecuteTemplate(&inner, name, f); err != nil {
		return fmt.Errorf("drawing the page %s: %w", name, err)
	}
	f.Page = template.HTML(inner.String()) // drawn by our own templates
	if err := templates().ExecuteTemplate(&b, "layout", f); err != nil {
		return fmt.Errorf("drawing the page %s: %w", name, err)
	}
	c.Set(fiber.HeaderContentType, "text/html; charset=utf-8")
	if status == 0 {
		status = http.StatusOK
	}
	return c.Status(status).Send(b.Bytes())
}

// lastOf is a model's name without whose it is.
func lastOf(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// usd shows money: to the cent from a dollar on, exactly below.
func usd(n fleet.NanoUSD) string {
	const dollar = fleet.NanoUSD(1e9)
	if n > -dollar && n < dollar {
		return "$" + n.String()
	}
	sign, cents := "", (n+dollar/200)/(dollar/100)
	if n < 0 {
		sign, cents = "−", (-n+dollar/200)/(dollar/100)
	}
	return fmt.Sprintf("%s$%s.%02d", sign, count(int64(cents/100)), cents%100)
}

// about shows money that is an estimate: to the cent from a dollar on, to a hundredth of one below.
func about(n fleet.NanoUSD) string {
	const least = fleet.NanoUSD(1e5)
	if n > -1e9 && n < 1e9 {
		n = (n + least/2) / least * least
	}
	return usd(n)
}

// took shows a span with about three digits.
func took(d time.Duration) string {
	switch {
	case d == 0:
		return "0 ms"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	case d < 100*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// count shows a whole number with its thousands apart.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	digits := strings.TrimPrefix(s, "-")
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	if n < 0 {
		return "−" + digits
	}
	return digits
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func itoa(n int) string { return strconv.Itoa(n) }

func ftoa(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
