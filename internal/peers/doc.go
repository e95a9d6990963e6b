// Package peers carries what the servers of one cluster say to each other: to the one that leads, by whichever of the others has something for it.
//
//	link (of a server that follows)            hub (of the one that leads)
//	   hello, once a stream          ──────►
//	                                 ◄──────   welcome, then tables as they come, and a sign of life each second
//	   reports, one by one           ──────►   heard, or not
//	   an operator's call            ──────►   its answer
//
// It promises that nobody takes part who does not know the cluster's servers key (both sides show that they do, and nobody on the way reads along), nor a server
// of another cluster or of another version of what is said here: each is told why. A link that breaks is mended at once, by whoever leads then; what was lost
// with it the protocol makes good. Who does not read holds nobody up: he is cut off after 5 s, and begins anew.
//
// It never decides who leads, never keeps a message, and never looks into one.
package peers
