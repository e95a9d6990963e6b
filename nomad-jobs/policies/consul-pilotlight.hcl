# What Pilotlight's own Consul token may do: see the engines, take out those whose supervisor was killed, and see the nodes that they are on.
service "pilotlight-engine" {
  policy = "write"
}

node_prefix "" {
  policy = "read"
}
