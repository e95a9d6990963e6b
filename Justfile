# Short names for plain go commands; `just` is a convenience, never needed. Install it with: npm install -g rust-just

# list the recipes
default:
    @just --list

# build both programs into bin/
build:
    go build -o bin/ ./cmd/pilotlight ./cmd/trtsim

# run Pilotlight on this machine with simulated engines, twenty times faster than life
demo:
    go run ./cmd/pilotlight dev --sim-speed 20

# a real Nomad and Consul with four nodes of 8 simulated H100s, to play with; prints what to type next
cluster *flags:
    go run ./internal/cluster/demo {{ flags }}

# the quick tests
quick:
    go test -short ./...

# all tests, as the README gives them
test:
    go test -timeout 60m ./...

# the quick tests under the race detector
race:
    go test -race -short ./...

# break each rule that a patch under testdata/mutants breaks, and see that its test notices
mutants:
    MUTANTS=all go test -v -count=1 -timeout 60m -run TestMutants ./internal/mutants

# have the simulated faults look for each planted bug, and keep how long that takes; PILOTLIGHT_FAULTS="5m" has them look from fresh seeds, for so long each
hunt:
    PILOTLIGHT_FAULTS_MUTANTS="$PWD/benchmarks/results/faults-mutants.json" MUTANTS="${MUTANTS:-all}" go test -v -count=1 -timeout 0 -run TestMutants_AreFoundByFaults ./internal/mutants

# simulated faults from fresh seeds: so many steps in each world, or so long ("10m"); PILOTLIGHT_FAULTS_RESULT names a file to which the outcome is added
simulate-faults budget="10m":
    STORE=sqlite PILOTLIGHT_FAULTS={{ budget }} go test -v -count=1 -p 1 -timeout 0 -run '^TestFaults$' ./activator/plan ./internal/slot ./internal/ledger ./internal/quota ./internal/shares ./internal/joined

# kill the whole server at 500 random points under load, and keep the outcome
crash points="500":
    PILOTLIGHT_CRASH_POINTS={{ points }} PILOTLIGHT_CRASH_RESULT="$PWD/benchmarks/results/crash.json" go test -v -count=1 -timeout 60m -run TestCrash_ ./cmd/pilotlight

# break a whole installation for so long, and keep the outcome: needs Linux and root
chaos time="20m":
    PILOTLIGHT_CHAOS={{ time }} PILOTLIGHT_CHAOS_RESULT="$PWD/benchmarks/results/chaos.json" go test -v -count=1 -timeout 0 -run '^TestChaos$' ./internal/chaos

# kill and stop the server that leads so many times each, under a load of hot requests, and keep the outcome
failover runs="50":
    PILOTLIGHT_FAILOVER={{ runs }} PILOTLIGHT_FAILOVER_OUT="$PWD/benchmarks/results/failover.json" go test -v -count=1 -timeout 0 -run '^TestNomad_Failover$' ./cmd/pilotlight

# every fuzz target for so long, two at once, and keep the outcome
fuzz-all time="10m":
    go run ./benchmarks fuzz --for {{ time }} --out benchmarks/results/fuzz.json

# one fuzz target for a while: just fuzz ./internal/openai FuzzInspect
fuzz package target time="60s":
    go test -run '^$' -fuzz '^{{ target }}$' -fuzztime {{ time }} {{ package }}

# formatting, vet, staticcheck, gosec, known vulnerabilities
lint:
    go tool gofumpt -l .
    go vet ./...
    go tool staticcheck ./...
    .ci/security

# Go benchmarks of the hot paths
bench:
    go test -run '^$' -bench . -benchmem ./activator ./activator/dispatch ./router ./internal/openai ./internal/upstream ./internal/ledger

# the same of another revision and of the working tree, in turns, and what benchstat makes of them: just bench-compare HEAD~1
bench-compare rev *flags:
    go run ./benchmarks compare {{ rev }} {{ flags }}

# what a change must pass before it lands
ci:
    .ci/run
