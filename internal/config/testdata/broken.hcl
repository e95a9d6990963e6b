cluster = = "default"
api {
  addr      = "127.0.0.1:8080
  keepalive = "sometimes"
}
backend "local" {
  gpus        = 8 GPUs
  host_memory = "much"
}
pool "local {
  max_parked_per_gpu = 2
}
model "acme/a" {
  gpus = 16
  colour = "blue"
  queue {
    limit = 10 per_org = 5
    per_org = 0
  }
  engine "sim" {}
}
model "acme/b" {
  gpus = 1
  max_concurrency = many
  engine "openai" {
    weights = "x"
    args    = ["--a",
      "--b"
  }
}
model "acme/c"
  gpus = 1
}
model "acme/d" {
  idle_after = "5 minutes"
  pool       = "local"
  engine "nope" {}
}
