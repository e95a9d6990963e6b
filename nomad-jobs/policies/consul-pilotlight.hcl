# What Pilotlight's own Consul token may do: see the engines, take out those whose supervisor was killed, hold the lock that lets one server of a
# cluster act, and see the nodes that engines are on.
service "pilotlight-engine" {
  policy = "write"
}

service "pilotlight-server" {
  policy = "write"
}

session_prefix "" {
  policy = "write"
}

key_prefix "pilotlight/" {
  policy = "write"
}

node_prefix "" {
  policy = "read"
}
