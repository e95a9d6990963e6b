backend "nomad" {}
pool "large" {}
pool "small" {}
model "meta-llama/Meta-Llama-3.1-70B-Instruct" {
  pool = "large"
}
model "mistralai/Mistral-7B-Instruct-v0.3" {
  pool = "small"
}
model "meta-llama/Meta-Llama-3-8B-Instruct" {}
