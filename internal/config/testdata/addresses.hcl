api { addr = "127.0.0.1:8081" }
backend "local" {}
backend "nomad" {}
store "mysql" {}
