admin {
  token "ana" {
    role = "auditr"
    file = "ana.token"
  }
  token "ana" {
    role = "auditor"
    env  = "ANA"
  }
  token "root" {
    role = "operator"
    env  = "ROOT"
  }
  token "both" {
    role = "billing"
    env  = "BOTH"
    file = "both.token"
  }
  token "no where" {}
}
