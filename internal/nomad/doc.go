// Package nomad is the back end of a Nomad cluster: one job per dedicated instance and one per slot of a pool, of the
// files in nomad-jobs.
//
// It promises that a dedicated instance, and a slot, lives in one job and one allocation and ends with it; that what it tells is what the Nomad
// servers say, re-read whole after every interruption; and that a job without our cluster's meta is never touched, unless an
// operator names it and its cluster. Servers of older terms than the last that has fenced are refused, and what they submit all the same is stopped. It never
// purges a job, never decides what should run, and keeps no state that a restart could lose: jobs outlive it and are found again.
package nomad
