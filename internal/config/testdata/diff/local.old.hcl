price { gpu_hour_usd = "8.25" }
autoscaler { latency_weight = 10 }
pool "local" {
  max_parked_per_gpu = 4
}
model "acme/same" {
  gpus = 1
  engine "sim" {}
}
model "acme/grows" {
  gpus = 4
  engine "sim" {}
}
model "acme/goes" {
  gpus = 1
  engine "sim" {}
}
model "acme/limits" {
  gpus           = 1
  idle_after     = "5m"
  context_length = 4096
  queue {
    max_wait = "9m"
  }
  engine "sim" {
    args = ["--sim-speed", "20"]
    env  = { HF_HOME = "/srv/hf" }
  }
}
