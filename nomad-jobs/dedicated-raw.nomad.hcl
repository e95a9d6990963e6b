# dedicated.nomad.hcl for engines that run without a container, such as the simulator; nothing isolates them.
#
#   nomad job run -var-file models/llama-3-8b.hcl -var 'command=["/usr/local/bin/trtsim"]' dedicated-raw.nomad.hcl
#
# The node needs the nvidia device plugin, and the raw_exec driver enabled. The GPUs that an engine may use are only told to it.

variable "cluster" {
  description = "the Pilotlight that owns the job; two never touch each other's"
  type        = string
  default     = "default"
}

variable "model" {
  description = "what callers name"
  type        = string
  default     = "meta-llama/Meta-Llama-3-8B-Instruct"
}

variable "instance" {
  description = "distinguishes the instances of a model; Pilotlight never uses one again"
  type        = string
  default     = "manual"
}

variable "spec" {
  description = "what the instance is launched with, as JSON, for a Pilotlight whose config has changed meanwhile; empty: as its config says"
  type        = string
  default     = ""
}

variable "term" {
  description = "of the Pilotlight that submits the job; empty: somebody else does"
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
  description = "GPUs of one node, for this instance alone"
  type        = number
  default     = 1
}

variable "gpu_memory" {
  description = "the least memory that each GPU must have, with its unit"
  type        = string
  default     = "75 GiB"
}

variable "gpu_model" {
  description = "regular expression that the GPU's name must match, such as H100"
  type        = string
  default     = ".*"
}

variable "command" {
  description = "the engine's program and its leading arguments"
  type        = list(string)
  default     = ["trtllm-serve"]
}

variable "args" {
  description = "the rest of its command line; Nomad fills in address and port"
  type        = list(string)
  default     = ["meta-llama/Meta-Llama-3-8B-Instruct", "--host", "$${NOMAD_IP_engine}", "--port", "$${NOMAD_PORT_engine}", "--tp_size", "1", "--served_model_name", "meta-llama/Meta-Llama-3-8B-Instruct", "--max_batch_size", "256", "--max_num_tokens", "8192", "--max_seq_len", "8192"]
}

variable "env" {
  type    = map(string)
  default = {}
}

variable "secrets" {
  description = "path of a Nomad Variable whose items become environment variables; empty: none"
  type        = string
  default     = ""
}

variable "health" {
  description = "path that answers 200 once the engine has loaded"
  type        = string
  default     = "/health"
}

variable "memory" {
  description = "host memory in MiB"
  type        = number
  default     = 65536
}

variable "cpu" {
  description = "MHz"
  type        = number
  default     = 1000
}

variable "kill_timeout" {
  description = "from SIGTERM to SIGKILL; the client's max_kill_timeout caps it"
  type        = string
  default     = "120s"
}

variable "shutdown_delay" {
  description = "from leaving Consul to SIGTERM, so that no router sends a request to an engine that is about to end"
  type        = string
  default     = "1s"
}

variable "logs_disabled" {
  description = "starts an engine some 70 ms sooner, and loses what it says"
  type        = bool
  default     = false
}

locals {
  slug = trim(regex_replace(lower(var.model), "[^a-z0-9]+", "-"), "-")
  name = "pilotlight-${var.cluster}-${local.slug}-${var.instance}"
}

job "dedicated" {
  id          = local.name
  name        = local.name
  type        = "service"
  region      = var.region
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool

  # Pilotlight touches only jobs that say that they are its own.
  meta {
    pilotlight_cluster  = var.cluster
    pilotlight_model    = var.model
    pilotlight_instance = var.instance
    pilotlight_spec     = var.spec
    pilotlight_term     = var.term
  }

  # No deployments: while one runs, Nomad refuses to scale the job, and purging a job in that moment crashes Nomad 1.11's server.
  update {
    max_parallel = 0
  }

  group "engine" {
    # One instance a job: with a larger count it would be Nomad that picks which instance ends.
    count          = 1
    shutdown_delay = var.shutdown_delay

    # Whether an engine that ended is started again is Pilotlight's to decide.
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

    ephemeral_disk {
      size = 300
    }

    network {
      mode = "host"
      port "engine" {}
    }

    service {
      name     = "pilotlight-engine"
      provider = "consul"
      port     = "engine"

      meta {
        pilotlight_cluster  = var.cluster
        pilotlight_model    = var.model
        pilotlight_instance = var.instance
      }

      check {
        name     = "loaded"
        type     = "http"
        path     = var.health
        interval = "1s"
        timeout  = "1s"
      }
    }

    task "engine" {
      driver       = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = var.kill_timeout
      env          = var.env

      config {
        command = var.command[0]
        args    = concat(slice(var.command, 1, length(var.command)), var.args)
      }

      logs {
        disabled      = var.logs_disabled
        max_files     = 5
        max_file_size = 20
      }

      # A changed secret is for the next instance: a serving one is not interrupted.
      dynamic "template" {
        for_each = var.secrets == "" ? [] : [var.secrets]
        content {
          data        = "{{ with nomadVar \"${template.value}\" }}{{ range .Tuples }}{{ .K }}={{ .V | toJSON }}\n{{ end }}{{ end }}"
          destination = "${NOMAD_SECRETS_DIR}/engine.env"
          env         = true
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
