package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// manCmd writes the manual pages, which are made of what the help is made of.
type manCmd struct {
	Dir string `arg:"" complete:"dir" help:"The directory, such as /usr/local/share/man/man1; it is made if it is not there."`
}

// Run writes a page for the program, and one for each command.
func (c manCmd) Run(env *Env) error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	parser := newParser(env, func(int) {})
	pages := manPages(parser.Model)
	for _, p := range pages {
		if err := os.WriteFile(filepath.Join(c.Dir, p.name+".1"), []byte(p.text), 0o644); err != nil {
			return fmt.Errorf("writing a page: %w", err)
		}
	}
	env.say("%s in %s", plural(len(pages), "page"), c.Dir)
	return nil
}

// manPage is one page, in the macros of man(7).
type manPage struct{ name, text string }

func manPages(app *kong.Application) []manPage {
	pages := []manPage{programPage(app)}
	_ = kong.Visit(app.Node, func(v kong.Visitable, next kong.Next) error { // the function has no error
		if n, ok := v.(*kong.Node); ok && n.Type == kong.CommandNode && !n.Hidden {
			pages = append(pages, commandPage(n))
		}
		return next(nil)
	})
	return pages
}

// pathOf is a command as it is typed, without the program's name, such as "token create".
func pathOf(n *kong.Node) string {
	if n.Parent == nil {
		return ""
	}
	return strings.TrimSpace(pathOf(n.Parent) + " " + n.Name)
}

// pageOf is the name of a command's page.
func pageOf(n *kong.Node) string {
	return strings.ReplaceAll(strings.TrimSpace("pilotlight "+pathOf(n)), " ", "-")
}

func programPage(app *kong.Application) manPage {
	w := newRoff(app.Name, "serverless, scale-to-zero inference")
	w.section("SYNOPSIS")
	w.line(".B %s", app.Name)
	w.line(".I command")
	w.line("[flags]")
	w.section("DESCRIPTION")
	w.text(app.Help)
	w.section("COMMANDS")
	w.commands(app.Leaves(true))
	w.section("OPTIONS")
	w.flags(app.Node)
	w.section("EXIT STATUS")
	w.term("0", "What was asked for was done.")
	w.term("1", "It was not; one line on standard error says why, and what would be right.")
	w.term("2", "It was, and what was watched went wrong, such as an activation that failed.")
	w.section("ENVIRONMENT")
	for _, v := range variables {
		w.term(v.name, v.does)
	}
	w.section("FILES")
	w.term("$XDG_DATA_HOME/pilotlight", "The data directory of pilotlight dev, where XDG_DATA_HOME is ~/.local/share if it is not set: the store, the log of usage records, and the tokens admin.token and dev.token, which only their owner may read.")
	w.examples("")
	return manPage{app.Name, w.String()}
}

// variables are those that commands read.
var variables = []struct{ name, does string }{
	{addrVariable, "The admin address of the server that commands talk to; --addr is stronger. Neither: " + defaultAdminURL + "."},
	{adminTokenVariable, "The admin token; without it, commands that talk to a server on this machine take that of its data directory."},
	{caVariable, "The CAs of the server's certificate, a file in PEM, where they are not the system's."},
	{clientCertVariable, "The certificate to show to a server that asks for one (admin.tls.client_ca), a file in PEM; with " + clientKeyVariable + "."},
	{clientKeyVariable, "The private key of " + clientCertVariable + ", a file in PEM that nobody else may read."},
	{"NO_COLOR", "If it is set to anything, top shows no colours."},
}

func commandPage(n *kong.Node) manPage {
	w := newRoff(pageOf(n), lowered(n.Help))
	w.section("SYNOPSIS")
	w.line(".B pilotlight %s", pathOf(n))
	if !n.Leaf() {
		w.line(".I command")
	}
	for _, p := range n.Positional {
		w.line(".I %s", roffText(p.Summary()))
	}
	w.line("[flags]")
	w.section("DESCRIPTION")
	w.text(n.Help)
	if n.Detail != "" {
		w.line(".PP")
		w.text(n.Detail)
	}
	if !n.Leaf() {
		w.section("COMMANDS")
		w.commands(n.Leaves(true))
	}
	if len(n.Positional) > 0 {
		w.section("ARGUMENTS")
		for _, p := range n.Positional {
			w.term(p.Summary(), p.Help)
		}
	}
	w.section("OPTIONS")
	w.flags(n)
	w.examples(pathOf(n))
	w.section("SEE ALSO")
	w.line("%s", seeAlso(n))
	return manPage{pageOf(n), w.String()}
}

// seeAlso names the pages of the program and of the command's siblings.
func seeAlso(n *kong.Node) string {
	also := []string{`\fBpilotlight\fR(1)`}
	if n.Parent.Parent != nil {
		for _, s := range append([]*kong.Node{n.Parent}, n.Parent.Children...) {
			if s != n && !s.Hidden {
				also = append(also, `\fB`+roffText(pageOf(s))+`\fR(1)`)
			}
		}
	}
	return strings.Join(also, ", ")
}

func lowered(help string) string {
	help = strings.TrimSuffix(help, ".")
	return strings.ToLower(help[:min(1, len(help))]) + help[min(1, len(help)):]
}

// roff writes a page.
type roff struct{ strings.Builder }

func newRoff(page, about string) *roff {
	w := new(roff)
	w.line(`.TH "%s" "1" "" "pilotlight %s" "Pilotlight"`, roffText(strings.ToUpper(page)), roffText(readVersion().Version))
	w.section("NAME")
	w.line(`%s \- %s`, roffText(page), roffText(about))
	return w
}

func (w *roff) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

func (w *roff) section(title string) { w.line(".SH %s", title) }

func (w *roff) text(s string) { w.line("%s", roffText(s)) }

// term is something with its meaning.
func (w *roff) term(what, means string) {
	w.line(".TP")
	w.line(`\fB%s\fR`, roffText(what))
	w.text(means)
}

func (w *roff) commands(leaves []*kong.Node) {
	group := ""
	for _, n := range leaves {
		if g := n.ClosestGroup(); g != nil && g.Title != group {
			group = g.Title
			w.line(".SS %s", roffText(strings.TrimSuffix(group, ":")))
		}
		w.term(pathOf(n), n.Help)
	}
}

// flags lists those of the command, by their groups.
func (w *roff) flags(n *kong.Node) {
	byGroup, order := map[string][]*kong.Flag{}, []string{""}
	for _, level := range n.AllFlags(true) {
		for _, f := range level {
			title := ""
			if f.Group != nil {
				title = f.Group.Title
			}
			if !slices.Contains(order, title) {
				order = append(order, title)
			}
			byGroup[title] = append(byGroup[title], f)
		}
	}
	for _, title := range order {
		if title != "" {
			w.line(".SS %s", roffText(title))
		}
		for _, f := range byGroup[title] {
			w.term(flagForm(f), f.Help)
		}
	}
}

// flagForm is a flag as it is written, with its short form and a place holder.
func flagForm(f *kong.Flag) string {
	form := "--" + f.Name
	if f.Tag.Negatable != "" {
		form = "--[no-]" + f.Name
	}
	if f.Short != 0 {
		form = "-" + string(f.Short) + ", " + form
	}
	if !f.IsBool() {
		form += "=" + f.FormatPlaceHolder()
	}
	return form
}

func (w *roff) examples(command string) {
	if len(examples[command]) == 0 {
		return
	}
	w.section("EXAMPLES")
	for _, e := range examples[command] {
		w.line(".PP")
		w.text(e.does + ":")
		w.line(".PP\n.RS 4\n.nf\n%s\n.fi\n.RE", roffText(e.line))
	}
}

var roffSpecial = regexp.MustCompile(`(?m)^[.']`)

// roffText escapes what troff would take for its own.
func roffText(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`, "'", `\(aq`, "…", "...").Replace(s)
	return roffSpecial.ReplaceAllString(s, `\&$0`)
}
