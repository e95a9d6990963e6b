package main_test

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// room is a package whose files stand in an order: each uses only what is declared in itself or in files below it. So whoever reads downwards meets
// everything after what uses it, and a file can be understood with those below it alone.
type room struct {
	files   []string          // without .go, from the top
	upwards map[string]string // "file: name" of a use that goes up all the same -> why
}

// rooms says which packages keep such an order. A use is that of a function, type, variable, constant or method; a method's receiver is none, nor
// is a field.
var rooms = map[string]room{
	"activator/protocol": {files: []string{"doc", "table", "report", "handover"}},
	"activator/plan": {files: []string{
		"doc", "planner", "operate", "view", "changes", "snapshot", "explain", "ahead", "orders", "decide", "claims", "slotroom", "move", "reconcile", "adopt", "slotsight", "slotkeeper", "limits", "slotreplace",
		"outlook", "parking", "find", "ease", "noderoom", "room", "victims", "lifecycle", "blame", "occupy", "doubt", "handover", "shares", "division", "hearing", "demand", "fits", "record", "former", "state", "unshown", "model",
		"node", "slot", "pool", "instance", "place", "succession", "peer", "nouns", "standing", "hold", "kinds", "order", "estimate", "alarm", "config",
	}},
	"activator/roster": {files: []string{"doc", "roster", "place", "sight", "existence", "liveness", "instance", "slot", "source", "state", "nouns"}},
	"activator/dispatch": {files: []string{
		"doc", "waiting", "expiry", "dispatcher", "status", "table", "answer", "report", "refusal", "queue", "timers", "waiter", "lease", "instance", "hash", "ask", "errors",
	}},
}

func TestFileOrder_UsesGoDownwards(t *testing.T) {
	exports := listExports(t, slices.Sorted(maps.Keys(rooms)))
	for name, r := range rooms {
		t.Run(name, func(t *testing.T) {
			for _, problem := range r.check(t, filepath.Join("..", "..", name), exports) {
				t.Error(problem)
			}
		})
	}
}

const (
	linesMost   = 300 // of a file of the core
	methodsMost = 40  // of a type there
)

// TestFileOrder_RoomsStaySmall holds the core to files that are read in one go, and to types that have one job.
func TestFileOrder_RoomsStaySmall(t *testing.T) {
	for _, name := range append(slices.Sorted(maps.Keys(rooms)), "activator") {
		paths, err := filepath.Glob(filepath.Join("..", "..", name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		methods := make(map[string]int)
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), "\n"); n > linesMost {
				t.Errorf("%s has %d lines, the most is %d", path, n, linesMost)
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for id := range receiversOf([]*ast.File{f}) {
				methods[id.Name]++
			}
		}
		for typ, n := range methods {
			if ast.IsExported(typ) || len(typ) > 1 { // the rest are receivers' names
				if n > methodsMost {
					t.Errorf("type %s of %s has %d methods, the most is %d", typ, name, n, methodsMost)
				}
			}
		}
	}
}

// TestFileOrder_IsNoticed holds the check itself against a small package.
func TestFileOrder_IsNoticed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"top.go":    "package p\n\ntype Top struct{ b *bottom }\n\nfunc (t *Top) Do() int { return t.b.size() + limit }\n\nconst most = 3\n",
		"bottom.go": "package p\n\ntype bottom struct{ n int }\n\nfunc (b *bottom) size() int { return b.n + most }\n\nfunc (t *Top) low() int { return t.b.n }\n\nconst limit = 2\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		room room
		want string
	}{
		{room{files: []string{"top", "bottom"}}, "bottom.go:5 uses most of top.go, which is above it"},
		{room{files: []string{"top", "bottom"}, upwards: map[string]string{"bottom: most": "because"}}, ""},
		{room{files: []string{"top", "bottom"}, upwards: map[string]string{"bottom: most": "because", "bottom: Top": "?"}}, `no use goes up as "bottom: Top"`},
		{room{files: []string{"top"}, upwards: map[string]string{}}, "bottom.go has no place"},
		{room{files: []string{"top", "middle", "bottom"}, upwards: map[string]string{"bottom: most": "because"}}, "there is no middle.go"},
	} {
		got := strings.Join(row.room.check(t, dir, nil), "\n")
		if row.want == "" && got != "" || !strings.Contains(got, row.want) {
			t.Errorf("%v: got %q, want %q", row.room, got, row.want)
		}
	}
}

// check gives what is wrong with the order of the package in dir.
func (r room) check(t *testing.T, dir string, exports map[string]string) []string {
	t.Helper()
	fset, files := token.NewFileSet(), []*ast.File(nil)
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	rank := make(map[string]int)
	for k, f := range r.files {
		rank[f] = k
	}
	var problems []string
	found := make(map[string]bool)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".go")
		if strings.HasSuffix(name, "_test") {
			continue
		}
		found[name] = true
		if _, placed := rank[name]; !placed {
			problems = append(problems, name+".go has no place in the order")
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, f := range r.files {
		if !found[f] {
			problems = append(problems, "there is no "+f+".go")
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return r.usesUpwards(fset, files, checkTypes(t, fset, files, exports), rank)
}

// usesUpwards gives the uses that go up and are not named, and the names that stand for no use.
func (r room) usesUpwards(fset *token.FileSet, files []*ast.File, info *types.Info, rank map[string]int) []string {
	receivers := receiversOf(files)
	fileOf := func(p token.Pos) string { return strings.TrimSuffix(filepath.Base(fset.Position(p).Filename), ".go") }
	var problems []string
	named := make(map[string]bool)
	for id, obj := range info.Uses {
		if receivers[id] || !isDeclaration(obj) {
			continue
		}
		from, to := fileOf(id.Pos()), fileOf(obj.Pos())
		if rank[from] <= rank[to] {
			continue
		}
		key := from + ": " + obj.Name()
		named[key] = true
		if r.upwards[key] == "" {
			problems = append(problems, fmt.Sprintf("%s.go:%d uses %s of %s.go, which is above it", from, fset.Position(id.Pos()).Line, obj.Name(), to))
		}
	}
	for key := range r.upwards {
		if !named[key] {
			problems = append(problems, fmt.Sprintf("no use goes up as %q says", key))
		}
	}
	slices.SortFunc(problems, cmp.Compare[string])
	return problems
}

// receiversOf gives the identifiers in receivers.
func receiversOf(files []*ast.File) map[*ast.Ident]bool {
	receivers := make(map[*ast.Ident]bool)
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
				ast.Inspect(fn.Recv, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						receivers[id] = true
					}
					return true
				})
			}
		}
	}
	return receivers
}

// isDeclaration reports whether the object is one of its package's functions, types, variables, constants or methods.
func isDeclaration(obj types.Object) bool {
	if obj.Pkg() == nil || obj.Pkg().Path() != checkedPath {
		return false
	}
	fn, isFunc := obj.(*types.Func)
	return obj.Parent() == obj.Pkg().Scope() || isFunc && fn.Signature().Recv() != nil
}

const checkedPath = "checked" // what the package is called while it is checked

func checkTypes(t *testing.T, fset *token.FileSet, files []*ast.File, exports map[string]string) *types.Info {
	t.Helper()
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})}
	if _, err := config.Check(checkedPath, fset, files, info); err != nil {
		t.Fatal(err)
	}
	return info
}

// listExports gives the files of export data of all that the packages import.
func listExports(t *testing.T, packages []string) map[string]string {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for _, p := range packages {
		args = append(args, module+p)
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("listing export data: %s", exit.Stderr)
		}
		t.Fatalf("listing export data: %v", err)
	}
	exports := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[path] = file
	}
	return exports
}
