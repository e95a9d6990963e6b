// Package account keeps what each organisation, and each of its tokens, has in use of what all organisations share: memory for
// bodies, and requests that are read, wait or run.
//
// A request has one Charge. It is opened by Admit, moved on by Join and Run, and closed by Settle, once, whatever became of the
// request: that gives back all that it still holds.
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
// It decides nothing about rights or money, does no I/O, and starts no goroutine.
package account
