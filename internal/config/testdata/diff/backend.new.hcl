backend "nomad" {}
model "acme/a" {
  gpus = 1
  engine "sim" {
    driver = "raw_exec"
  }
}
