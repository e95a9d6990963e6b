// Package quota has the servers of one store share budgets: each spends from blocks that it has drawn.
//
// A block is what one server may spend in one period of a budget, in all (granted). What it has spent in fact is what its log has brought to the store
// (usage_servers, written in the mover's own transaction), what its log still holds, and what its running requests owe. With, of server j,
//
//	S(j) = what it has spent, and owes
//	M(j) = what of that the store has
//	G(j) = its block, as the store has it; 0 = it has none
//
// these are the rules:
//
//  1. A server spends only what it was granted: S(j) <= G(j). Its meter ends requests at the instant when that would not hold any more.
//  2. A server that draws is given at most limit - the sum over the others of max(G, M). It reads that and writes its own block in one transaction, and the
//     store has one writer at a time.
//  3. A block that becomes smaller is smaller in the meter first, then in the store; one that becomes larger is larger in the store first. It never
//     becomes smaller than what is owed.
//  4. A block that was drawn before the end of a raise ends with that: then a server spends nothing until it has drawn anew.
//
// Never over: by 2 the sum of max(G, M) is at most the limit after each transaction, and stays so between them, for M grows only as far as S; by 1 and 3
// S <= G as the store has it, at any moment and wherever a crash, a lost answer or a slow store comes in between. So the sum of S is at most the limit.
//
// Never refused while it suffices: whoever would refuse a request, or end one, asks the store once more. If what it needs is in others' blocks, it wishes
// for it, and they give back what they do not need: all of it where nothing of theirs runs, else half. It refuses when all of them have answered, or after a
// second; shortly before that it takes what is nobody's, whoever has not answered. So a remainder, to the nano-dollar, goes where it is needed. Meanwhile
// requests run on: what they owe is within the budget once the block has grown, and is cut to the instant of the old block if it does not.
//
// After a crash a server that starts on the same log brings that to the store before it serves. Then S(j) = M(j), exactly, and it gives the rest of its
// block back. Until then the rest is held: nobody else can know what the log has. That is little: a block lasts five minutes at the rate of what runs, and
// holds one per cent of the budget beyond. It is held until the period ends at the latest.
//
// A server that cannot reach the store spends what it has drawn. It decides nothing about rights, and keeps no sum of its own but the meters'.
package quota
