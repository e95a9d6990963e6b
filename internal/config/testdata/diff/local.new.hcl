# Another order and other words for the same are no difference.
price { gpu_hour_usd = "9" }
autoscaler { latency_weight = 2.5 }
pool "local" {
  max_parked_per_gpu = 2
  host_memory        = "1TiB"
}
model "acme/limits" {
  gpus           = 1
  endpoints      = ["chat"]
  idle_after     = "10m"
  context_length = 4096
  queue {
    max_wait = "1m30s"
  }
  engine "sim" {
    args = ["--sim-speed", "40"]
    env  = { HF_HOME = "/srv/hf", HF_TOKEN = "hf_secret" }
  }
}
model "acme/grows" {
  gpus = 8
  engine "sim" {}
}
model "acme/comes" {
  gpus = 1
  engine "sim" {}
}
model "acme/same" {
  gpus       = 1
  idle_after = "300s"
  engine "sim" {}
}
