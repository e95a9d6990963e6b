# A slot of a pool: GPUs of one node, whose engines Pilotlight starts, parks, resumes and stops through the supervisor that runs here.
#
#   nomad var put pilotlight/slots slot_key="$(openssl rand -hex 32)"
#   nomad job run -var pool=h100 -var slot=manual slot.nomad.hcl
#
# With driver docker the engines run inside the image, and the static program is mounted into it. The node needs the nvidia device plugin and
# the docker driver, with the runtime "nvidia" and volumes enabled; ipc_mode "host" has to be allowed (allowed_modes, Nomad 2.0.4 and later), and
# docker { gc { image = false } } keeps the image on the node. With driver raw_exec they run beside the program, as simulated engines may.
#
# Where ACLs are on, the job's tasks need a policy that lets them read the Nomad Variables of key and secrets.

variable "cluster" {
  description = "the Pilotlight that owns the job; two never touch each other's"
  type        = string
  default     = "default"
}

variable "pool" {
  type    = string
  default = "h100"
}

variable "slot" {
  description = "the slot's name; Pilotlight never uses one again"
  type        = string
  default     = "manual"
}

variable "term" {
  description = "of the Pilotlight that submits the job; empty: somebody else does"
  type        = string
  default     = ""
}

variable "spec" {
  description = "what the slot gives to its engines, as Pilotlight's config has it, in JSON; Pilotlight starts nothing new where that has changed; empty: it does not mind"
  type        = string
  default     = ""
}

variable "region" {
  type    = string
  default = "global"
}

variable "namespace" {
  type    = string
  default = "default"
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "node_pool" {
  type    = string
  default = "default"
}

variable "gpus" {
  description = "GPUs of one node, for this slot alone"
  type        = number
  default     = 8
}

variable "gpu_memory" {
  description = "the least memory that each GPU must have, with its unit; engines share as much"
  type        = string
  default     = "75 GiB"
}

variable "gpu_model" {
  description = "regular expression that the GPU's name must match, such as H100"
  type        = string
  default     = ".*"
}

variable "driver" {
  description = "docker or raw_exec"
  type        = string
  default     = "docker"
}

variable "program" {
  description = "path of the static pilotlight binary on the node"
  type        = string
  default     = "/usr/local/bin/pilotlight"
}

variable "image" {
  description = "of all the slot's engines (docker)"
  type        = string
  default     = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc22"
}

variable "volumes" {
  description = "of weights and caches, source:target or source:target:ro (docker)"
  type        = list(string)
  default     = []
}

variable "env" {
  description = "of the engines"
  type        = map(string)
  default     = {}
}

variable "key" {
  description = "path of the Nomad Variable whose item slot_key is the key of the supervisor's API; other items, such as CONSUL_HTTP_TOKEN, are variables for the supervisor alone"
  type        = string
  default     = "pilotlight/slots"
}

variable "secrets" {
  description = "paths of Nomad Variables whose items become environment variables of the engines"
  type        = list(string)
  default     = []
}

variable "engine_user" {
  description = "whom engines run as, a name or a number that the image knows (raw_exec: the node); same: as the supervisor; empty: nobody where that is root"
  type        = string
  default     = ""
}

variable "consul" {
  description = "the node's Consul agent as seen from the node, which learns which engines take requests; off: none does; empty: as CONSUL_HTTP_ADDR says, else http://127.0.0.1:8500"
  type        = string
  default     = ""
}

variable "host_memory" {
  description = "for parked engines, with its unit; empty: as the pool's config says"
  type        = string
  default     = ""
}

variable "memory" {
  description = "host memory in MiB, for the supervisor and all engines, parked ones included"
  type        = number
  default     = 65536
}

variable "cpu" {
  description = "MHz"
  type        = number
  default     = 8000
}

variable "grace" {
  description = "from SIGTERM to SIGKILL of an engine"
  type        = string
  default     = "100s"
}

variable "kill_timeout" {
  description = "from SIGTERM to SIGKILL of the supervisor, longer than grace; the client's max_kill_timeout caps it"
  type        = string
  default     = "120s"
}

variable "ipc_mode" {
  description = "tensor parallel workers talk through shared memory; private needs an image that copes with 64 MB of it (docker)"
  type        = string
  default     = "host"
}

variable "ulimits" {
  description = "parked weights lie in locked memory; without memlock where the docker daemon may not raise limits (docker)"
  type        = map(string)
  default     = { memlock = "-1", stack = "67108864" }
}

locals {
  name = "pilotlight-${var.cluster}-slot-${var.slot}"
  args = concat(
    [
      "slot", "--id", var.slot, "--pool", var.pool, "--cluster", var.cluster, "--gpus", "${var.gpus}", "--addr", "$${NOMAD_ADDR_api}",
      "--node", "$${node.unique.id}", "--dir", "$${NOMAD_ALLOC_DIR}", "--grace", var.grace,
      "--gpu-memory", var.gpu_memory, "--secrets", "$${NOMAD_SECRETS_DIR}/slot",
    ],
    var.engine_user == "" ? [] : ["--engine-user", var.engine_user],
    length(var.env) == 0 ? [] : ["--pass-env", join(",", keys(var.env))],
    flatten([for n, path in var.secrets : ["--engine-env", "$${NOMAD_SECRETS_DIR}/engines-${n}"]]),
    var.consul == "" ? [] : ["--consul-addr", var.consul],
    var.host_memory == "" ? [] : ["--host-memory", var.host_memory],
  )
}

job "slot" {
  id          = local.name
  name        = local.name
  type        = "service"
  region      = var.region
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool

  # Pilotlight touches only jobs that say that they are its own.
  meta {
    pilotlight_cluster = var.cluster
    pilotlight_pool    = var.pool
    pilotlight_slot    = var.slot
    pilotlight_term    = var.term
    pilotlight_spec    = var.spec
    pilotlight_api     = "tls"
  }

  # No deployments: while one runs, Nomad refuses to scale the job, and purging a job in that moment crashes Nomad 1.11's server.
  update {
    max_parallel = 0
  }

  group "slot" {
    count = 1

    # A slot that ended has lost its engines. Whether there is to be another one is Pilotlight's to decide.
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    # A node that Nomad does not hear serves on. It is taken for lost only after this time.
    disconnect {
      lost_after = "5m"
      replace    = false
      reconcile  = "keep_original"
    }

    # Each engine's log is kept, up to 16 MB of it.
    ephemeral_disk {
      size = 2000
    }

    network {
      mode = "host"
      port "api" {}
    }

    service {
      name     = "pilotlight-slot"
      provider = "consul"
      port     = "api"

      meta {
        pilotlight_cluster = var.cluster
        pilotlight_pool    = var.pool
        pilotlight_slot    = var.slot
      }

      check {
        name     = "supervises"
        type     = "http"
        path     = "/healthz"
        interval = "2s"
        timeout  = "1s"
      }
    }

    task "slot" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = var.kill_timeout
      env          = var.env

      dynamic "config" {
        for_each = var.driver == "docker" ? [1] : []
        content {
          image        = var.image
          entrypoint   = ["/usr/local/bin/pilotlight"]
          args         = local.args
          network_mode = "host"
          init         = true
          ipc_mode     = var.ipc_mode
          volumes      = concat(["${var.program}:/usr/local/bin/pilotlight:ro"], var.volumes)
          force_pull   = false
          ulimit       = [var.ulimits]
        }
      }

      dynamic "config" {
        for_each = var.driver == "docker" ? [] : [1]
        content {
          command = var.program
          args    = local.args
        }
      }

      logs {
        max_files     = 5
        max_file_size = 20
      }

      # A changed key or secret is for the next slot: serving engines are not interrupted. They are files that only the supervisor's user may
      # read, and no variables: engines could read those of the process that has started them.
      template {
        data        = "{{ with nomadVar \"${var.key}\" }}{{ range .Tuples }}{{ .K }}={{ .V | toJSON }}\n{{ end }}{{ end }}"
        destination = "${NOMAD_SECRETS_DIR}/slot"
        perms       = "0600"
        change_mode = "noop"
      }

      dynamic "template" {
        for_each = var.secrets
        content {
          data        = "{{ with nomadVar \"${template.value}\" }}{{ range .Tuples }}{{ .K }}={{ .V | toJSON }}\n{{ end }}{{ end }}"
          destination = "${NOMAD_SECRETS_DIR}/engines-${template.key}"
          perms       = "0600"
          change_mode = "noop"
        }
      }

      resources {
        cpu    = var.cpu
        memory = var.memory

        device "nvidia/gpu" {
          count = var.gpus

          constraint {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = var.gpu_memory
          }

          constraint {
            attribute = "${device.model}"
            operator  = "regexp"
            value     = var.gpu_model
          }
        }
      }
    }
  }
}
