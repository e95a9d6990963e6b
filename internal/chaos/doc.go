// Package chaos holds a test alone: it breaks a whole installation, over and over, under a client load that checks every answer and every bill.
//
// The installation is real: Nomad and Consul with three servers each, nodes, Pilotlights and Postgres, each machine in a network namespace of its own on one bridge, and
// only the GPUs and the engines are simulated. What is broken is real too: processes are killed and stopped, packets are dropped by iptables, answers are delayed by
// proxies, file systems are filled, nodes drained. Which faults come, where, in which order and for how long, comes from a seed, which is printed.
//
// It needs Linux and root. All of it runs in a child in a process, mount and network namespace of its own, so that whatever happens to the test, the kernel ends each
// process and takes each interface, rule and mount away with the child.
//
//	go test -v -run TestChaos ./internal/chaos                                    # a slice of three to four minutes
//	PILOTLIGHT_CHAOS=20m PILOTLIGHT_SEED=7 go test -v -timeout 0 -run TestChaos ./internal/chaos
//
// The clients ask two Pilotlights through what a load balancer would do: who gets no connection, or a 503 before anything else, asks the other. How long it takes until a server leads again,
// and what requests for a hot model take meanwhile at the server that was not hit, is in the outcome.
//
// PILOTLIGHT_CHAOS is how long faults are made; then the seed is fresh unless PILOTLIGHT_SEED gives it. PILOTLIGHT_CHAOS_ONLY names the kinds of faults that are made,
// separated by commas (default: all), and PILOTLIGHT_CHAOS_RESULT a file for the outcome.
package chaos
