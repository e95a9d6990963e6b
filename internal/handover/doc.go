// Package handover carries the open sockets of one process to another that takes its place on the same machine, so that no caller is refused.
//
//	the one that serves             the one that comes
//	Post.Run      ◄── Dial ───────  waits, for as long as it takes
//	Successor.GiveListeners ──────► Predecessor.Listener: both accept from one queue, until the first stops
//	Successor.GiveConn ───────────► Predecessor.Conns: connections between two requests
//	(its process ends) ───────────► Predecessor.Gone
//
// A socket that is handed over is the same one in both processes: closing it in the first ends nothing, and what waits in its queue, or is sent to it meanwhile, is found
// by the second. Only the same user's processes, and root's, are spoken to. The package never decides when a socket goes over.
package handover
