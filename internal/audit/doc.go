// Package audit keeps who has done what: one entry for each act of an operator, and for each change that an organisation's own people make.
//
// It promises that what is done in the store and its entry are there together or not at all (Note, in the transaction of the change), that an act of an operator
// that changes nothing in the store, or fails, has its entry too (Log.End), that no entry holds a secret of Pilotlight's or a URL's password (clean), and that
// entries are only ever added: each is tied to the one before by its hash, so that Checker finds what was changed, or taken out, behind its back. Whoever
// takes away the newest entries is found by who has kept their hash elsewhere. Entries are kept for ever.
//
// It never decides whether an act is allowed, and never looks at what a change means.
package audit
