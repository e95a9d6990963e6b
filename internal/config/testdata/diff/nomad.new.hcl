backend "nomad" {}
pool "large" {
  gpus_per_slot = 4
  node_pool     = "gpu"
  slot_idle     = "5m"
  slots {
    min = 1
    max = 8
  }
}
pool "fresh" {}
model "meta-llama/Meta-Llama-3.1-70B-Instruct" {
  pool = "large"
  engine "trtllm" {
    image = "nvcr.io/nvidia/tensorrt-llm/release:1.4.0"
  }
}
model "mistralai/Mistral-7B-Instruct-v0.3" {
  pool = "fresh"
}
model "meta-llama/Meta-Llama-3-8B-Instruct" {
  engine "trtllm" {
    image = "nvcr.io/nvidia/tensorrt-llm/release:1.4.0"
  }
}
