package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logKeys are the keys of log lines. One thing has one word, that of the config, the API and the metrics; a new thing is added here.
var logKeys = strings.Fields(`
	act action actor addr after again before block by cause change changes clock cluster component connections copy copy_error correction counts
	credit_usd damage differs failure failures file follower for from gpus grace in instance invoices its_term job kind known kv_tokens leader limit_usd
	listener method model month months node operator org path percent period pid place pool processes reason record records request resets_at
	segment service setting settings signal simulated_seconds slot soft source speed spent_usd stack start state subject template term to token tokens
	took until usd via webhook whose working
`)

// TestLogKeys holds every log line of the servers to constant messages and known keys.
func TestLogKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, dir := range []string{"cmd", "router", "activator", "autoscaler", "internal"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					checkLogLine(t, files.Position(call.Pos()).String(), call, seen)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range logKeys {
		if !seen[key] {
			t.Errorf("nothing logs %q any more; take it out of the list", key)
		}
	}
}

func checkLogLine(t *testing.T, where string, call *ast.CallExpr, seen map[string]bool) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !isLog(method.X) {
		return
	}
	args := call.Args
	switch method.Sel.Name {
	case "Debug", "Info", "Warn", "Error":
		if _, joined := args[0].(*ast.BinaryExpr); joined {
			t.Errorf("%s: the message is put together; write a constant one, and the rest as keys", where)
		}
		if text := literal(args[0]); strings.HasSuffix(text, ".") {
			t.Errorf("%s: the message %q ends in a full stop", where, text)
		}
		args = args[1:]
	case "With":
	default:
		return
	}
	for i := 0; i < len(args); i += 2 {
		key := literal(args[i])
		if key == "" {
			continue // a slice of both
		}
		seen[key] = true
		if !slices.Contains(logKeys, key) {
			t.Errorf("%s: %q is no known key; use the one there is for it, or add it to the list", where, key)
		}
	}
}

// isLog reports whether an expression is a logger, by its name: log, c.Log, s.log("router").
func isLog(x ast.Expr) bool {
	switch e := x.(type) {
	case *ast.Ident:
		return strings.EqualFold(e.Name, "log")
	case *ast.SelectorExpr:
		return strings.EqualFold(e.Sel.Name, "log")
	case *ast.CallExpr:
		return isLog(e.Fun)
	}
	return false
}

func literal(x ast.Expr) string {
	if l, ok := x.(*ast.BasicLit); ok && l.Kind == token.STRING {
		s, _ := strconv.Unquote(l.Value)
		return s
	}
	return ""
}
