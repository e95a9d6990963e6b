// Package shares has the servers of one store share limits of requests at once: each admits requests only within its share of a limit.
//
// With, of server j and one limit,
//
//	R(j) = requests that it has admitted and that have not ended
//	A(j) = its share, as it knows it
//	G(j) = its share, as the store has it; 0 = it has none
//
// these are the rules:
//
//  1. A server admits a request only if then R(j) <= A(j), and only as long as its lease lasts: five minutes from before it has last told the store that it lives.
//  2. Whoever raises its share has at most limit - the sum of the others' G. It reads that and writes its own in one transaction, and whoever changes shares
//     of a limit writes that limit's row first: so there is one at a time.
//  3. A share that becomes smaller is smaller here first, then in the store; one that becomes larger is larger in the store first. There it never becomes smaller than R.
//  4. A server that has said nothing for longer than its lease may last is taken for gone, and its shares are the others'. How long it has said nothing, each of the
//     others measures by its own clock, from when it has itself seen the last sign of life; so no clock is compared with another. A server that comes back finds
//     that it was given up, and begins with what its running requests hold. One that starts again says so at once: whoever has the log's directory is the only
//     one that uses that name.
//  5. A share of a limit that was lowered since admits nobody until it is drawn anew.
//
// Never over: by 2 the sum of G is at most the limit, by 1 and 3 R <= A <= G at any moment at which a request is admitted. Two things are excepted, because
// requests that run are not ended for them: a limit that was lowered below what runs, and what runs on a server that was given up but goes on; both end with
// those requests, for then A < R there, and nobody is admitted in the place of one. Where a limit was higher for a while, a server that has not heard of that admits
// within its share of the lower one, beside what others still run of the higher.
//
// Who would refuse a request asks the store once, 50 ms at most. If the others have what it needs, it says what it lacks, and they give half of what they do not
// use, until nobody lacks anything or nobody has anything. So shares go where requests are. A server alone has all of a limit, and asks once in its life; beside
// others each keeps what it has needed of late, and a little.
//
// The store hands the shares out, not the server that leads: they are needed most where nobody leads, and a lease that lasts as long as tokens are known while the
// store is away is no new reason to refuse anybody. What a request costs is a comparison. The rest is this package's loop and one row for each limit in use.
package shares
