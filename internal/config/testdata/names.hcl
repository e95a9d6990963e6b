clutser = "default"
colour  = "blue"
api {
  adr          = "127.0.0.1:8080"
  path_aliases = []
  ledger {}
}
api {}
price = { gpu_hour_usd = "8.25" }
cluster {}
store { path = "x.db" }
backend "local" "two" {}
modell "a" {}
model "meta-llama/Meta-Llama-3-8B-Instruct" {
  gpu = 1
  queue {
    max_wiat = "9m"
  }
  engine {
    weights = "x"
  }
  instances "x" {}
}
ledger "x" {}
