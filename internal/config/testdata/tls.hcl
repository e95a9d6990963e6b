# The files of a listener's certificate.
api {
  tls {}
}
admin {
  tls {
    cert      = "cert.pem"
    key       = ""
    client_ca = 7
    ca        = "ca.pem"
  }
}
