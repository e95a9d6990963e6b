# Organisations, their limits and their tokens, for `pilotlight org import docs/orgs.hcl`. Every setting that there is is shown.
#
# What is left out stays as it is, or is not limited where it is new; 0, "" and [] take a limit away. Organisations and tokens that are not in the file stay too:
# a file may hold a part of them. A second import changes nothing, and --dry-run only prints what would change.

org "acme" {
  models        = ["meta-llama/Meta-Llama-3-8B-Instruct", "mistralai/Mistral-7B-Instruct-v0.3"] # that its tokens may use; [] = all
  state         = "active"                                                                      # or "suspended"
  rpm           = 600                                                                           # requests a minute; 0 = no limit
  concurrency   = 32                                                                            # requests at once; 0 = no limit
  budget_usd    = "250"                                                                         # of one period, in quotes; "0" = no budget
  budget_period = "monthly"                                                                     # or "weekly", "daily"; UTC
  budget_soft   = false                                                                         # true = going over it is told, and refuses nobody

  budget_raise { # a larger budget for a while; once it has ended, the block has no effect
    budget_usd = "500"
    until      = "2099-12-31" # the end of that day in UTC, or a moment in RFC 3339
    why        = "launch of the new site"
  }

  # Found by its sha256 where one is given, else by its name among those that are not revoked.
  token "ci" {
    sha256        = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" # of its secret: printf %s "$TOKEN" | sha256sum
    scopes        = ["inference", "models:read"]                                      # and "usage:read", "tokens:manage"
    models        = ["meta-llama/Meta-Llama-3-8B-Instruct"]                           # [] = all of the organisation's
    keepalive     = "comment"                                                         # or "off", "chunk"; "" = the config's
    expires       = "2099-12-31"                                                      # the end of that day in UTC, or a moment; "" = never
    rpm           = 60
    concurrency   = 4
    budget_usd    = "25"
    budget_period = "daily"
    budget_soft   = true
  }

  # New and without sha256: `pilotlight org import --secrets FILE` makes its secret, and writes it to FILE.
  token "web" {}
}

org "umbrella" {
  budget_usd = "99.50"
}
