# What the Consul token of a pool's slots may do: say which engines take requests.
service "pilotlight-engine" {
  policy = "write"
}
