cluster = "default"
backend "local" { gpus = 8  host_memory = "1.5TiB" }
