package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// completeCommand is what the shells' completion scripts call, with the words up to the cursor; the last is the one to complete, and may be empty:
//
//	pilotlight __complete WORD...
//	pilotlight __complete --line "pilotlight model sh"
//
// The second form takes the line as it is typed, for bash, which cuts words at colons and equals signs. The first line of the answer says what the shell is to
// do: words (complete to one of those below), open (the same, and the word goes on after it), files or dirs (complete to those). Then comes a word a line, with a
// tab and what it means, where that is known.
const completeCommand = "__complete"

// completeWithin bounds what a server may take to say which names there are: whoever presses a key waits for it.
const completeWithin = 500 * time.Millisecond

// completion is what the shell is told.
type completion struct {
	how   string
	words []name
}

// complete answers a shell. Whatever is wrong with the line, or with the server, gives fewer words and no message.
func complete(ctx context.Context, args []string, env *Env) int {
	quiet := *env
	quiet.ctx, quiet.Stdout, quiet.Stderr = ctx, io.Discard, io.Discard
	word := "" // what the shell thinks that it completes is the end of what is
	if len(args) == 2 && args[0] == "--line" {
		args = lineWords(args[1])
		args = args[min(1, len(args)):]
		word = shellWord(args)
	}
	c := completionOf(&quiet, args)
	fmt.Fprintln(env.Stdout, c.how)
	for _, w := range c.words {
		line := strings.TrimPrefix(w.text, word)
		if w.about != "" {
			line += "\t" + w.about
		}
		fmt.Fprintln(env.Stdout, line)
	}
	return 0
}

// shellWord is what of the last word stands before the last of bash's word breaks in it.
func shellWord(args []string) string {
	if len(args) == 0 {
		return ""
	}
	last := args[len(args)-1]
	return last[:strings.LastIndexAny(last, ":=")+1]
}

// lineWords cuts a line into words as a shell does; a quote may be open at its end. A line that ends in a space ends in an empty word.
func lineWords(line string) []string {
	words, quote, escaped := []string{""}, rune(0), false
	for _, r := range line {
		last := &words[len(words)-1]
		switch {
		case escaped:
			*last, escaped = *last+string(r), false
		case r == '\\' && quote != '\'':
			escaped = true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote == 0 && (r == ' ' || r == '\t'):
			if *last != "" {
				words = append(words, "")
			}
		default:
			*last += string(r)
		}
	}
	return words
}

// typed is the part of a command line before the word to complete.
type typed struct {
	node     *kong.Node
	given    map[string]string // flag -> its last value
	awaits   *kong.Flag        // the word is its value
	before   int               // arguments before the word
	onlyArgs bool              // after --
}

func completionOf(env *Env, args []string) completion {
	if len(args) == 0 {
		args = []string{""}
	}
	parser := newParser(env, func(int) {})
	t, word := readTyped(parser.Model.Node, args[:len(args)-1]), args[len(args)-1]
	flag, value, inFlag := strings.Cut(word, "=")
	switch {
	case t.awaits != nil:
		return t.valueOf(env, t.awaits.Value, word, "")
	case !t.onlyArgs && strings.HasPrefix(word, "--") && inFlag:
		if f := t.flag(flag); f != nil {
			return t.valueOf(env, f.Value, value, flag+"=")
		}
		return completion{how: "words"}
	case !t.onlyArgs && strings.HasPrefix(word, "-"):
		return completion{"words", startingWith(word, "", t.flags())}
	}
	words := startingWith(word, "", t.commands())
	if len(words) > 0 || len(t.node.Positional) == 0 {
		return completion{"words", words}
	}
	at := t.before
	if last := len(t.node.Positional) - 1; at > last {
		if !t.node.Positional[last].IsCumulative() {
			return completion{how: "words"}
		}
		at = last
	}
	return t.valueOf(env, t.node.Positional[at], word, "")
}

// readTyped goes down the tree of commands along what was typed.
func readTyped(root *kong.Node, words []string) *typed {
	t := &typed{node: root, given: map[string]string{}}
	for _, word := range words {
		switch {
		case t.awaits != nil:
			t.given[t.awaits.Name], t.awaits = word, nil
		case word == "--" && !t.onlyArgs:
			t.onlyArgs = true
		case strings.HasPrefix(word, "-") && word != "-" && !t.onlyArgs:
			text, value, inWord := strings.Cut(word, "=")
			f := t.flag(text)
			switch {
			case f == nil:
			case inWord || f.IsBool():
				t.given[f.Name] = value
			default:
				t.awaits = f
			}
		default:
			if i := slices.IndexFunc(t.node.Children, func(n *kong.Node) bool { return n.Name == word || slices.Contains(n.Aliases, word) }); i >= 0 && t.before == 0 {
				t.node = t.node.Children[i]
			} else {
				t.before++
			}
		}
	}
	return t
}

// flag finds a flag of the command as it is written, such as --org or -h.
func (t *typed) flag(text string) *kong.Flag {
	for _, group := range t.node.AllFlags(false) {
		for _, f := range group {
			if text == "--"+f.Name || f.Short != 0 && text == "-"+string(f.Short) || f.Tag.Negatable != "" && text == "--no-"+f.Name {
				return f
			}
		}
	}
	return nil
}

// commands below the one that was typed, and what they do.
func (t *typed) commands() []name {
	var all []name
	for _, n := range t.node.Children {
		if !n.Hidden && t.before == 0 {
			all = append(all, name{n.Name, n.Help})
		}
	}
	return all
}

// flags that may still be given.
func (t *typed) flags() []name {
	var all []name
	for _, group := range t.node.AllFlags(true) {
		for _, f := range group {
			if _, given := t.given[f.Name]; !given || f.IsCumulative() {
				all = append(all, name{"--" + f.Name, f.Help})
			}
		}
	}
	slices.SortFunc(all, func(a, b name) int { return cmp.Compare(a.text, b.text) })
	return all
}

// valueOf completes an argument, or the value of a flag. before is what of the shell's word stands before it.
func (t *typed) valueOf(env *Env, v *kong.Value, word, before string) completion {
	what := v.Tag.Get("complete")
	if list := listed(v); list {
		if i := strings.LastIndexByte(word, ',') + 1; i > 0 {
			before, word = before+word[:i], word[i:]
		}
	}
	switch {
	case what == "file" || v.Tag.Type == "path":
		return completion{how: "files"}
	case what == "dir":
		return completion{how: "dirs"}
	case what == "setting":
		return completion{"open", startingWith(word, before, t.settings(env))}
	case v.Enum != "":
		return completion{"words", startingWith(word, before, plain(v.EnumSlice()))}
	case v.Tag.Get("values") != "":
		return completion{"words", startingWith(word, before, plain(splitList(v.Tag.Get("values"))))}
	case what == "month":
		return completion{"words", startingWith(word, before, months(env.Now()))}
	}
	kind, ok := nameKinds[what]
	if !ok {
		return completion{how: "words"}
	}
	return completion{"words", startingWith(word, before, t.names(env, kind))}
}

// listed reports whether several values may be given in one word, with commas between.
func listed(v *kong.Value) bool {
	target := v.Target
	if target.Kind() == reflect.Pointer {
		return v.Tag.Get("complete") == "model" // such as org update --models
	}
	return target.Kind() == reflect.Slice && v.Tag.Sep != -1 && v.Flag != nil
}

// names are those that the server has, if it answers at once.
func (t *typed) names(env *Env, kind nameKind) []name {
	client, err := serverFlags{Addr: t.given["addr"], DataDir: t.given["data-dir"]}.client(env)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(env.ctx, completeWithin)
	defer cancel()
	all, _ := kind.all(ctx, client)
	return all
}

// settings of a pool, with an equals sign each.
func (t *typed) settings(env *Env) []name {
	client, err := serverFlags{Addr: t.given["addr"], DataDir: t.given["data-dir"]}.client(env)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(env.ctx, completeWithin)
	defer cancel()
	pools, err := client.Pools(ctx)
	if err != nil || len(pools) == 0 {
		return nil
	}
	var all []name
	for _, s := range settingsOf(&pools[0])[1:] { // the first belongs to the file
		all = append(all, name{s[0] + "=", "now " + s[1]})
	}
	return all
}

func plain(all []string) []name {
	names := make([]name, 0, len(all))
	for _, one := range all {
		if one != "" {
			names = append(names, name{text: one})
		}
	}
	return names
}

// months are the last twelve, the newest first.
func months(now time.Time) []name {
	var all []name
	first := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	for i := range 12 {
		all = append(all, name{text: first.AddDate(0, -i, 0).Format("2006-01")})
	}
	return all
}

// startingWith gives those that start with the word, with what of the shell's word stands before it.
func startingWith(word, before string, all []name) []name {
	var some []name
	for _, n := range all {
		if strings.HasPrefix(n.text, word) {
			some = append(some, name{before + n.text, strings.Join(strings.Fields(n.about), " ")})
		}
	}
	return some
}
