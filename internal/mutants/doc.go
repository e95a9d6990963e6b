// Package mutants breaks rules of our code on purpose, one at a time, and shows that a test notices. No line of the code itself knows of it.
//
// A mutant is a file NAME.patch in some package's testdata/mutants: what it breaks, the test that must fail, and a small unified diff
// from the root of the module.
//
//	Rule: no more wait than the queue's limit
//	Test: ./activator/dispatch TestQueue_IsBounded
//	--- a/activator/dispatch/dispatcher.go
//	+++ b/activator/dispatch/dispatcher.go
//	@@
//	-	case limits.Limit > 0 && q.waiting >= limits.Limit:
//	+	case limits.Limit > 0 && q.waiting > limits.Limit:
//
// The lines before a change, taken together with those around it, must stand in the file exactly once; line numbers do not count. A line
// "Env: KEY=VALUE" is for the test. The patched file is used by `go test -overlay`: the tree is not touched.
//
// To add one, put the file there; the test of this package finds it. `just mutants` runs all.
package mutants
