// Package account keeps what each organisation, and each of its tokens, has in use of what all organisations share: memory for
// bodies, and requests that are read, wait or run; and what of their budgets they have spent, and are spending.
//
// A request has one Charge. It is opened by Admit, moved on by Join and Run, and closed by Settle, once, whatever became of the
// request: that gives back all that it still holds.
//
// Limits promise that a request takes its part of its token's and its organisation's both, or nothing of either; that it is refused only where one of them
// is exceeded at that moment; and that who is refused for the rate learns exactly when it would not be. A limit is its claim's, what was taken of it
// the account's: a limit that changes holds at once.
//
// The memory promises, in this order:
//
//   - Never more is held than there is. What is charged are bytes that have come, not those that were announced.
//   - An organisation that keeps within its fair share gets memory whatever the others hold: where all is taken, a request of
//     the organisation that is furthest above its share is ended for it (Holder).
//   - While more than half is in use, an organisation holds at most its share: the whole, divided by the organisations that hold
//     something and one more, who is still to come. A first request is excepted, so that one body always finds room.
//   - Large bodies keep a part of it free for small ones.
//
// # Budgets
//
// The running requests of an organisation share one meter, whether it has a budget or not: so a budget that comes later counts all that has been spent
// before. A budget bounds what requests that were dispatched in one of its periods cost together. Waiting costs nothing and reserves nothing.
//
// With cost(t) = the ledger's cost of t at a request's rate, in whole nano-dollars, a period is owed at an instant T, in nanoseconds:
//
//	owed(T) = spent + the sum over its requests of max(cost(T - from), least),  least = max(cost(1 µs), 1 nano-dollar)
//
// spent are the records of what has ended; from is when a request began to be paid for (its least alone counts until then). These are the rules:
//
//  1. A request is let in, when it has its engine, if owed(now) + its least <= limit.
//  2. The budget is used up at the last T with owed(T) <= limit. Whoever still runs is billed to that T at the latest: when the timer fires, when it ends
//     first, whichever comes, and however late.
//
// Never over: cost is the very sum that a record is made of, rounded as the record is, so that nothing is left to round. If all requests of the period end
// at or before T, their records sum up to at most owed(T) <= limit, for cost never falls with time. Rule 1 keeps owed(now) <= limit when one more comes.
// Who ends before T leaves max(cost, least) >= its cost, which only makes T later.
//
// Never refused while it suffices: let what the requests of a period will cost sum up to at most limit, where each is billed for a microsecond and a
// nano-dollar at least. At any instant, a request that runs owes at most what it will cost, one that comes has a least of at most what it will cost, and
// spent is what others have cost. So owed(now) + least <= limit, and owed(T) <= limit for every T at which somebody runs: nobody is refused, nobody is cut.
// It is exact to the nano-dollar. Two things are known only once they are told, and counted as owed until then: that a request costs nothing after all
// (its engine has failed), which gives all of it back; and that it has ended. For the second the timer waits 2 ms behind T before it ends anybody.
//
// The sums are kept so that a request costs the same however many run. With rate = GPUs x price per hour, cost(t) <= rate x t + 1/2, and so
//
//	owed(T) <= spent + the sum of rate x (T - from) + the sum of least
//
// of which all parts are sums that change when a request comes and goes, in 128 bits. As long as that is within the limit, nothing else is looked at. Only
// when a budget is within about a microsecond of its end are the costs added up one by one, and T found by halving.
//
// A token's budget is inside its organisation's: a request must be let in by both, and the earlier instant ends it; for the organisation it is owed no
// further than its token's budget lasts. A budget that narrows (its limit, its period, a raise that ends) holds from that instant on: what was spent
// before is not made unspent, and nobody is billed to an instant before it. A clock that is set changes no bill: moments are of the clock that nobody sets.
// Only which period a dispatch is in, and when a raise ends, is said by the wall's.
//
// # Several servers
//
// Servers of one store share a budget in blocks: a period's limit is, on each of them, what others have spent, and its own block, where that is less. Who lacks
// more than the block asks for it (Quota): a request before it is refused, the timer before it ends anybody, the end of a request before it is billed. They wait
// a second at most. What runs is not ended meanwhile; it is billed to the instant at which the block was used up, if nothing more is to be had. How blocks are
// drawn, and why their sum is the budget, is said in internal/quota.
//
// They share limits of requests at once, too: a server admits requests within its share of a limit. Who is refused for want of a share, and not of the limit, asks
// for more once, 50 ms at most (Shares). What others may let through in a minute is not shared.
//
// It decides nothing about rights, does no I/O of its own, and starts no goroutine but that of a meter's timer.
package account
