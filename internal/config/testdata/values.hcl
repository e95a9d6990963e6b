cluster = "two words"
api {
  addr             = "localhost"
  path_aliases     = ["v1", "/v1", "/openai/v1", "/openai/v1", "/healthz", 7]
  cors_origins     = ["https://chat.example.com/", "chat.example.com", "https://Chat.example.com", "https://chat.example.com:443", "null", "http://localhost:5173", "*"]
  body_limit       = "32"
  keepalive        = "comments"
  stream_heartbeat = "-15s"
  body_budget      = "64MiB"
  max_connections  = -1
}
admin {
  addr      = "127.0.0.1:99999"
  token_env = "s3cr3t-admin-token-of-mine"
}
price { gpu_hour_usd = 8.25 }
store "sqlite" {
  path    = ""
  url_env = "PILOTLIGHT_DATABASE_URL"
}
ledger {
  dir        = null
  durability = "async "
  retention  = "1h"
}
autoscaler {
  policy         = "fxied"
  latency_weight = -1
  idle_cost      = 1.5
}
backend "local" {
  gpus        = -1
  host_memory = "1.5 TiBs"
  addr        = "http://127.0.0.1:4646"
  consul {}
}
model "m" {
  gpus            = "1"
  pool            = 5
  endpoints       = ["chat", "completion", "chat"]
  context_length  = 8192.5
  max_concurrency = 0
  idle_after      = "5"
  allow           = ["lora request"]
  instances {
    min = 2
    max = 1
  }
  queue {
    limit    = 10
    per_org  = 11
    max_wait = 540
  }
  timeouts {
    start = "soon"
    idle  = true
    total = unlimited
  }
  engine "trtllm" {
    driver  = "podman"
    command = "trtllm-serve"
    args    = ["--max_batch_size", 256]
    weights = ""
    volumes = ["/srv/weights"]
    env     = { "1A" = "x", B = 2 }
    memory  = "0B"
    cpu     = 99999999999
  }
}
