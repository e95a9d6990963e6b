# A small server on one machine: two models of one GPU each, which share two GPUs. Engines are simulated; an engine block of kind "trtllm", "vllm" or
# "openai" is a real one. config-local.hcl explains every setting.
api {
  addr = "127.0.0.1:8080"
}
admin {
  addr = "127.0.0.1:8081"
}
store "sqlite" {
  path = "data/pilotlight.db"
}
ledger {
  dir = "data/ledger"
}
backend "local" {
  gpus        = 2
  host_memory = "64GiB"
}
model "small" {
  gpus           = 1
  context_length = 8192
  idle_after     = "1m"
  engine "sim" {
    args = ["--sim-speed", "20"]
  }
}
model "other" {
  gpus           = 1
  context_length = 8192
  idle_after     = "1m"
  engine "sim" {
    args = ["--sim-speed", "20"]
  }
}
