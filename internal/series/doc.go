// Package series keeps what the fleet has done of late, for charts: an hour in steps of two seconds, a day in steps of a minute, without anybody who scrapes.
//
// It promises to hold memory within bounds, however many models there are and however long it runs, and to cost those who serve requests nothing: it reads
// counters that are kept anyway. It never forgets a model that is in use for one that is not, and never keeps anything over a restart.
package series
