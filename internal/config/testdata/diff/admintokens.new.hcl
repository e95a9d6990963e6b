admin {
  token "ana" {
    role = "operator"
    env  = "ANA"
  }
  token "otto" {
    role = "operator"
    file = "/srv/otto.token"
  }
}
