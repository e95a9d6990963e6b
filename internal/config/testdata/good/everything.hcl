cluster = "default"                                    # part of every Nomad job's name; two Pilotlights never touch each other's
api {
  addr             = "127.0.0.1:8080"
  path_aliases     = []
  cors_origins     = []
  body_limit       = "32MiB"
  keepalive        = "comment"
  stream_heartbeat = "15s"
  body_budget      = "1GiB"
  event_limit      = "32MiB"
  max_connections  = 0
}
admin {
  addr      = "127.0.0.1:8081"
  token_env = "PILOTLIGHT_ADMIN_TOKEN"
}
price { gpu_hour_usd = "8.25" }
store "sqlite" { path = "pilotlight.db" }              # or: store "postgres" { url_env = "PILOTLIGHT_DATABASE_URL" }
ledger {
  dir        = "ledger"                                # on Nomad: a host volume, or the log dies with the allocation
  durability = "async"                                 # or "sync"
  retention  = "400d"
}
autoscaler {
  policy         = "adaptive"                          # or fixed, kpa, hybrid
  latency_weight = 10                                  # GPU-hours that an hour of waiting is worth
  idle_cost      = 0                                   # what idle time in a slot that is held anyway counts, 0 to 1
}
backend "nomad" {                                      # or: backend "local" { gpus = 8  host_memory = "1.5TiB" }, on two lines
  addr        = "http://127.0.0.1:4646"                # NOMAD_* and CONSUL_* variables give TLS and the rest; attributes win
  token_env   = "NOMAD_TOKEN"
  namespace   = "default"
  datacenters = ["*"]
  node_pool   = "default"                              # of dedicated models; a pool may name its own
  consul {
    addr      = "http://127.0.0.1:8500"
    token_env = "CONSUL_HTTP_TOKEN"
  }
}
pool "h100" {
  gpus_per_slot      = 8
  node_pool          = "gpu"
  host_memory        = "1.5TiB"
  max_parked_per_gpu = 4
  parked_gpu_memory  = "4GiB"                          # what a parked engine still holds on each of its GPUs
  slot_idle          = "15m"                           # a slot with nothing awake for this long is given back
  slots {
    min = 0
    max = 4
  }
}
model "meta-llama/Meta-Llama-3-8B-Instruct" {
  gpus            = 1
  pool            = "h100"                             # no pool: a dedicated Nomad job per instance
  endpoints       = ["chat", "completions"]
  context_length  = 8192
  max_concurrency = 64
  idle_after      = "5m"                               # the longest an instance stays hot without a request, under every policy; `dev`: 30s
  instances {
    min = 0
    max = 4
  }
  queue {
    limit    = 2048
    per_org  = 1024
    max_wait = "9m"
  }
  timeouts {
    start      = "30m"
    first_byte = "10m"
    idle       = "5m"
    total      = "30m"
  }
  engine "trtllm" {
    driver  = "docker"                                 # on Nomad: docker or raw_exec
    image   = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc22"
    command = ["trtllm-serve"]                         # raw_exec and local: any program with its command line, such as trtsim
    args    = ["--max_batch_size", "256"]              # host, port, tp_size and served_model_name are ours: repeating one is an error
    weights = "/srv/weights/Meta-Llama-3-8B-Instruct"  # a path on the node (then offline), or a Hugging Face id
    volumes = ["/srv/weights:/srv/weights:ro", "/var/cache/trtllm:/root/.cache"]
    env     = {}
    secrets = ""                                       # a Nomad Variable path; its items become environment variables
    memory  = "64GiB"
    cpu     = 1000                                     # MHz, as in Nomad
  }
}
