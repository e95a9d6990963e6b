package main

// example is one way to call a command.
type example struct{ does, line string }

// examples are shown by the help and the manual page of each command, "" = the program's own. Each line is parsed by a test.
var examples = map[string][]example{
	"": {
		{"Serve the built-in catalogue on this machine, with simulated engines; it prints a token and a curl line", "pilotlight dev"},
		{"See what runs", "pilotlight top"},
	},
	"dev": {
		{"Serve the built-in catalogue, with simulated engines", "pilotlight dev"},
		{"Also serve a real model, on the CPU, through llama-server", "pilotlight dev --gguf ~/models/qwen2.5-0.5b-instruct-q4_k_m.gguf"},
		{"As slow as life, on other ports, with a data directory of its own", "pilotlight dev --sim-speed 1 --api-addr 127.0.0.1:9080 --admin-addr 127.0.0.1:9081 --data-dir ./data"},
	},
	"serve": {{"Serve what the file says", "PILOTLIGHT_ADMIN_TOKEN=\"$(cat admin.token)\" pilotlight serve --config pilotlight.hcl"}},
	"slot":  {{"Supervise engines on 8 GPUs, as the job of a pool does", "pilotlight slot --id h100-1 --gpus 8 --addr 10.0.0.7:9000 --dir /alloc/engines --pool h100"}},
	"top": {
		{"Watch until q is pressed", "pilotlight top"},
		{"Print it once, such as for a mail or a log", "pilotlight top --once"},
	},
	"model list":  {{"Which models are hot, and why", "pilotlight model list"}, {"Only the hot ones' ids", "pilotlight model list --json | jq -r '.[] | select(.state == \"hot\").id'"}},
	"model show":  {{"Its settings, and where its instances are", "pilotlight model show meta-llama/Meta-Llama-3.1-8B-Instruct"}},
	"model start": {{"Hold a model hot for an hour, and watch it start", "pilotlight model start meta-llama/Meta-Llama-3.1-8B-Instruct --for 1h --wait"}},
	"model stop":  {{"Let its requests finish, then free its GPUs", "pilotlight model stop meta-llama/Meta-Llama-3.1-8B-Instruct"}},
	"model explain": {
		{"Why it is hot or not, what a request would find now, and why its last start failed", "pilotlight model explain meta-llama/Meta-Llama-3.1-8B-Instruct"},
	},
	"pool list": {{"How full each pool is", "pilotlight pool list"}},
	"pool show": {{"Which engine sits on which GPUs, and the settings in force", "pilotlight pool show local"}},
	"pool tune": {
		{"Park more engines on each GPU, from now on", "pilotlight pool tune local max_parked_per_gpu=6"},
		{"What the last day would have cost and waited with other settings; nothing changes", "pilotlight pool tune local max_parked_per_gpu=6 latency_weight=20 --what-if"},
		{"Go back to what the config says", "pilotlight pool tune local max_parked_per_gpu="},
	},
	"server list":  {{"Which server leads, and since when", "pilotlight server list"}},
	"orphans list": {{"What runs and is in nobody's care", "pilotlight orphans list"}},
	"orphans stop": {{"Stop what a renamed cluster has left behind", "pilotlight orphans stop --cluster old pilotlight-old-mistral-7b-1"}},

	"org create":  {{"Add an organisation that may spend 500 dollars a month", "pilotlight org create acme --budget-usd 500"}},
	"org update":  {{"Allow two models only", "pilotlight org update acme --models meta-llama/Meta-Llama-3.1-8B-Instruct,mistralai/Mistral-7B-Instruct-v0.3"}, {"Raise its budget for a while", "pilotlight org update acme --budget-usd 2000 --until 2027-01-31 --why 'launch week'"}},
	"org suspend": {{"Refuse its requests, and cut those in flight", "pilotlight org suspend acme --now"}},
	"org resume":  {{"Let it go on", "pilotlight org resume acme"}},
	"org list":    {{"All organisations with their limits", "pilotlight org list"}},
	"org show":    {{"One organisation", "pilotlight org show acme"}},
	"org import": {
		{"What would change", "pilotlight org import orgs.hcl --dry-run"},
		{"Change it; secrets of new tokens go to a file", "pilotlight org import orgs.hcl --secrets secrets.jsonl"},
	},
	"token create": {
		{"Keep the secret in a variable", "TOKEN=$(pilotlight token create --org acme --name ci)"},
		{"One that ends in 90 days and may spend 20 dollars a month", "pilotlight token create --org acme --name intern --expires 90d --budget-usd 20"},
	},
	"token update": {{"No more than 60 requests a minute", "pilotlight token update tok_ljjyn3keyoikof6nafdkmvgqli --rpm 60"}},
	"token list":   {{"The tokens of one organisation, with their last use", "pilotlight token list --org acme"}},
	"token revoke": {{"Have it refused from now on", "pilotlight token revoke tok_ljjyn3keyoikof6nafdkmvgqli"}},

	"usage": {
		{"This month, by organisation and model", "pilotlight usage"},
		{"One organisation's days of a month, for a spreadsheet", "pilotlight usage --org acme --month 2026-11 --by model,day --format csv > usage.csv"},
	},
	"invoice list":  {{"All closed invoices", "pilotlight invoice list"}},
	"invoice show":  {{"As a page to send or print", "pilotlight invoice show acme 2026-11 --html acme-2026-11.html"}},
	"invoice close": {{"Close a month that is over", "pilotlight invoice close 2026-11"}},
	"invoice receipts": {
		{"Every request that an invoice charges for", "pilotlight invoice receipts acme 2026-11 > receipts.jsonl"},
	},
	"invoice verify": {{"Whether an invoice follows from its receipts", "pilotlight invoice verify receipts.jsonl --invoice invoice.json"}},
	"correct":        {{"Take all of a request's cost back", "pilotlight correct 01K8Z7-17 --all --reason 'answer was cut short'"}},
	"audit": {
		{"What was done to an organisation in the last week", "pilotlight audit --since 7d --subject org/acme"},
		{"That nothing was changed or taken out", "pilotlight audit --verify"},
	},
	"webhook list":   {{"Which endpoints are behind, and why", "pilotlight webhook list"}},
	"webhook resume": {{"Send again, from where it stopped", "pilotlight webhook resume billing"}},

	"config check": {{"Every mistake in a file, and what is not on this machine", "pilotlight config check pilotlight.hcl"}},
	"config apply": {{"What would change", "pilotlight config apply pilotlight.hcl --dry-run"}, {"Change it, all or nothing", "pilotlight config apply pilotlight.hcl"}},
	"job render":   {{"A job to look at, or to run by hand", "pilotlight job render meta-llama/Meta-Llama-3.1-8B-Instruct > llama.nomad.hcl"}},
	"store copy":   {{"Move from SQLite to Postgres", "pilotlight store copy --from sqlite.hcl --to postgres.hcl"}},
	"store backup": {{"A copy of dev's store", "pilotlight store backup backup.db"}},
	"store check":  {{"Whether the sums follow from the records", "pilotlight store check --config pilotlight.hcl"}},
	"store prune":  {{"Delete now what is older than ledger.retention", "pilotlight store prune"}},
	"simulate": {
		{"Two policies over a day's requests, on 8 nodes", "pilotlight simulate --trace day.csv.gz --nodes 8 --policy adaptive,fixed-300 --html report.html"},
		{"How many GPUs the same requests need if at most 1 % may wait longer than 10 s", "pilotlight simulate --trace day.csv.gz --for-p99 10s"},
	},
	"bench load": {
		{"Ten requests a second, as callers who know nothing of each other send them, for a minute", "pilotlight bench load --model meta-llama/Meta-Llama-3.1-8B-Instruct --rate 10 --for 1m --slo ttft=500ms,inter_token=50ms"},
		{"Another server, 32 requests at once", "OPENAI_API_KEY=\"$KEY\" pilotlight bench load --url http://127.0.0.1:8000/v1 --model llama --concurrency 32 --requests 1000 --out a.json"},
	},
	"bench replay": {
		{"Ten minutes of a recorded Tuesday, twice as fast, all of it for one model", "pilotlight bench replay --trace benchmarks/traces/node8_dev.csv.gz --from 24h --for 10m --speed 2 --model meta-llama/Meta-Llama-3.1-8B-Instruct"},
	},
	"bench coldstart": {{"What a start adds, five times, beside requests to the hot model", "pilotlight bench coldstart --model meta-llama/Meta-Llama-3.1-8B-Instruct --runs 5"}},
	"bench join": {
		{"What aiperf has measured, with cold, parked and hot answers apart", "pilotlight bench join artifacts/run1"},
		{"The same for guidellm, which sends no request IDs: by times, within 100 ms", "pilotlight bench join benchmarks.json --slack 100ms"},
	},
	"bench report": {
		{"How a second run stands to a first, with an interval for each ratio", "pilotlight bench report a.json b.json --html report.html"},
		{"Put the results of two generators together", "pilotlight bench report --merge --out both.json one.json two.json"},
	},

	"completion": {
		{"For this bash", "source <(pilotlight completion bash)"},
		{"For every zsh to come, where ~/.zfunc is in $fpath", "pilotlight completion zsh > ~/.zfunc/_pilotlight"},
		{"For every fish to come", "pilotlight completion fish > ~/.config/fish/completions/pilotlight.fish"},
	},
	"man":     {{"Where man looks for them", "pilotlight man ~/.local/share/man/man1"}},
	"version": {{"What a bug report needs", "pilotlight version --json"}},
}
