# What Pilotlight's own Consul token may do: see the engines, and the nodes that they are on.
service "pilotlight-engine" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}
