model "acme/a" {
  gpus = 1
  engine "sim" {}
}
