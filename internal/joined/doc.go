// Package joined holds a test alone: it plays histories of a whole installation without its routers, in virtual time.
//
// Each server is made of the real parts, joined as `serve` joins them: activator, accounts, budgets (internal/quota), limits (internal/shares) and ledger, on one
// database. Simulated are what is around them: callers, who take a request through those parts in the router's order; engines and the back end that starts them;
// the lock that says who leads; the network between servers; each server's disk; and the ways to the database, which is a real SQLite file that has one writer
// at a time.
//
// What the parts promise alone, their own rooms hold. This world is about what they promise together:
//
//   - an engine never has more requests than it takes, and is not parked or stopped while it serves one;
//   - limits of requests at once hold over all servers, and no budget is overspent, to the nano-dollar;
//   - each caller gets one answer of a known kind, in a stated time, unless its server dies;
//   - each record that was appended is in the database once, those of servers that died included; one that was withheld is not; and the sums from which budgets
//     are drawn are the records';
//   - a stated time after the last fault all who asked are answered, each model can be had at each server, and then nothing is held and no engine is awake.
//
// All share one clock, for a bubble of synctest has one: what a clock that is set does is for the worlds of plan, ledger and quota.
package joined
