// Package console is the web console: the pages that operators see at the admin address, and callers at /console of the public one.
//
// It promises that a page can be read without JavaScript, that an organisation never sees another's data, that no page runs a script which
// is not a file of ours (Content-Security-Policy), and that nothing changes by a request which another site has made (see sameSite). What a browser
// keeps of a sign-in is sealed with a key of the server's; the token in it is checked anew at each request, so that a revoked one sees nothing more.
//
// Live parts come as differences from one published state (Hub): however many pages are open, the fleet is looked at once, and a part is drawn
// once.
//
// It decides nothing: it shows what the fleet, the tenants and the ledger say, and hands what a visitor wants to them.
package console
