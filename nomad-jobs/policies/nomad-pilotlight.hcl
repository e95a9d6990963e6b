# What Pilotlight's own Nomad token may do, in the namespace of its engines.
namespace "default" {
  capabilities = ["list-jobs", "read-job", "submit-job"]

  # The key of the slots' supervisors, where there are pools.
  variables {
    path "pilotlight/slots" {
      capabilities = ["read"]
    }

    # The term of the server that is in charge, so that acts of one that was before come to nothing.
    path "pilotlight/fence/*" {
      capabilities = ["read", "write"]
    }

    # The key by which several servers of a cluster know each other. The first one makes it; where it is put there by hand, or given otherwise, read is enough.
    path "pilotlight/servers/*" {
      capabilities = ["read", "write"]
    }
  }
}

# Which machines have GPUs, and which of them take work.
node {
  policy = "read"
}
