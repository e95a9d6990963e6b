# What Pilotlight's own Nomad token may do, in the namespace of its engines.
namespace "default" {
  capabilities = ["list-jobs", "read-job", "submit-job"]
}

# Which machines have GPUs, and which of them take work.
node {
  policy = "read"
}
