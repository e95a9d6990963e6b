admin {
  token "ana" {
    role = "auditor"
    file = "ana.token"
  }
  token "bill" {
    role = "billing"
    env  = "BILL"
  }
}
