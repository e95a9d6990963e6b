backend "nomad" {
  addr        = "nomad.example:4646"
  token_env   = "0f9c-4d6a-secret"
  namespace   = "ml/prod"
  datacenters = ["dc1", " "]
  node_pool   = 7
  gpus        = 8
  host_memory = "1TiB"
  consul {
    addr      = "consul:8500"
    token_env = "b1-secret"
    namespace = "x"
  }
}
backend "local" {}
model "org/cpu" {
  gpus = 0
  engine "openai" {
    driver  = "raw_exec"
    command = ["llama-server", "-m", "${weights}"]
    weights = "gemma.gguf"
  }
}
model "org/sixteen" {
  gpus = 16
  engine "trtllm" { weights = "../weights" }
}
model "org/sim" {
  gpus = 1
  pool = "h100"
  engine "sim" {}
}
model "org/nim" {
  gpus = 1
  engine "nim" { weights = "x" }
}
model "org/raw-nim" {
  gpus = 1
  engine "nim" {
    driver  = "raw_exec"
    image   = "nvcr.io/nim/x:1"
    volumes = ["/srv:/srv"]
    weights = "x"
  }
}
model "meta-llama/Meta-Llama-3-8B-Instruct" {
  engine "trtllm" {
    secrets = "engine secrets"
    memory  = "2MiB"
    cpu     = 0
  }
}
pool "small" {
  gpus_per_slot = 3
  slots {
    max = 2
  }
}
pool "tight" {
  max_parked_per_gpu = 8
}
pool "two" {
  gpus_per_slot = 2
  slots {
    max = 1
  }
}
model "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8" {
  pool = "tight"
}
model "org/four" {
  gpus = 4
  pool = "two"
  engine "sim" { driver = "raw_exec" }
}
model "org/many" {
  gpus = 1
  pool = "two"
  instances {
    min = 3
  }
  engine "trtllm" { weights = "x" }
}
model "org/other" {
  gpus = 1
  pool = "two"
  engine "vllm" {
    image   = "vllm:1"
    weights = "x"
  }
}
