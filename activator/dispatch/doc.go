// Package dispatch is the machine in every server that keeps the queues and grants the leases: who waits for a model, and who is
// served by which instance.
//
// It promises:
//
//   - every waiter gets exactly one answer: a lease, or one Refusal;
//   - leases on an instance never exceed the share that the planner gave, and none is granted after that share has expired;
//   - within a model each org is served in the order in which it came, orgs in turn, and a retry before all;
//   - an instance whose circuit breaker is open or half-open gets no request.
//
// It starts no goroutine, and uses no channel, clock or log: time comes in, answers go out, so that a history replays. It decides nothing about instances:
// it takes tables from the planner and sends reports.
//
// The files are in the order in which they use each other, which a test keeps (cmd/pilotlight): dispatcher, status, table, answer, report, refusal, queue,
// timers, waiter, lease, instance, hash, ask, errors.
package dispatch
