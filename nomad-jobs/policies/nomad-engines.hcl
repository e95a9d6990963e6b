# What engines may do: read the Nomad Variables that their models name as secrets. Applied to a namespace, it holds for every job in it.
namespace "default" {
  variables {
    path "pilotlight/*" {
      capabilities = ["read"]
    }
  }
}
