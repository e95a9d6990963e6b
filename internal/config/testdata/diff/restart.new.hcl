cluster = "other"
api {
  addr             = "127.0.0.1:9080"
  keepalive        = "chunk"
  stream_heartbeat = "5s"
}
admin { token_env = "OTHER" }
store "sqlite" { path = "other.db" }
ledger {
  durability = "sync"
  retention  = "30d"
}
autoscaler { policy = "fixed" }
backend "local" {
  gpus = 4
}
price { gpu_hour_usd = "1" }
model "acme/a" {
  gpus = 2
  engine "sim" {}
}
