# Organisations of local.hcl's server. What is not named here stays as it is; docs/orgs.hcl shows every setting.
org "acme" {
  rpm        = 1200
  budget_usd = "500"
}
org "globex" {
  models      = ["small"]
  concurrency = 8
}
