// Package storetest is for tests: it runs the tests of a package on SQLite and on Postgres, and starts Postgres servers for those that stop or damage one.
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.OnBoth(m)) }
//
// A test opens a store by a path (Open); on Postgres each path is a database of its own, of one server that the test binary starts: Debian's, with what makes
// it durable switched off. STORE=sqlite or STORE=postgres in the environment has the tests run on one alone. With -short they run on SQLite only, and their files lie in memory (Quick).
package storetest
