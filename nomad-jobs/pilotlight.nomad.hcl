# Pilotlight itself, as a service on Nomad.
#
#   nomad job run -var node=NAME -var "config=$(cat pilotlight.hcl)" pilotlight.nomad.hcl
#
# The node needs the raw_exec driver enabled, the program at the path given, and the directory of the database. The database and the ledger lie on its disk, outside
# the allocation, which they outlive: name the node, so that the next allocation finds them.

variable "program" {
  description = "path of the static binary on the node"
  type        = string
  default     = "/usr/local/bin/pilotlight"
}

variable "config" {
  description = "text of pilotlight.hcl; relative paths in it are relative to local/ of the task, so give those of store and ledger in full"
  type        = string
  default     = <<-EOT
    api {
      addr = "0.0.0.0:8080"
    }
    store "sqlite" {
      path = "/var/lib/pilotlight/pilotlight.db"
    }
    ledger {
      dir = "/var/lib/pilotlight/ledger"
    }
    backend "nomad" {
      addr = "http://127.0.0.1:4646"
    }
    model "meta-llama/Meta-Llama-3-8B-Instruct" {
    }
  EOT
}

variable "secrets" {
  description = "path of a Nomad Variable with PILOTLIGHT_ADMIN_TOKEN, NOMAD_TOKEN and CONSUL_HTTP_TOKEN; empty: none"
  type        = string
  default     = ""
}

variable "node" {
  description = "name of the node whose disk holds the database and the ledger; empty: any"
  type        = string
  default     = ""
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "namespace" {
  type    = string
  default = "default"
}

variable "node_pool" {
  type    = string
  default = "default"
}

variable "port" {
  description = "of the public API, as in the config"
  type        = number
  default     = 8080
}

variable "admin_port" {
  description = "of the admin API, as in the config"
  type        = number
  default     = 8081
}

variable "drain" {
  description = "for requests in flight when it is stopped; the client's max_kill_timeout caps it"
  type        = string
  default     = "10m"
}

variable "cpu" {
  description = "MHz"
  type        = number
  default     = 2000
}

variable "memory" {
  description = "MiB"
  type        = number
  default     = 1024
}

job "pilotlight" {
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool

  dynamic "constraint" {
    for_each = var.node == "" ? [] : [var.node]
    content {
      attribute = "$${node.unique.name}"
      value     = constraint.value
    }
  }

  # Two servers on one ledger would bill twice: the old one is gone before the new one starts.
  update {
    max_parallel = 0
  }

  group "pilotlight" {
    count          = 1
    shutdown_delay = "2s"

    restart { # for as long as it takes: who is away at the start, the database say, may come back
      attempts = 10
      interval = "30s"
      delay    = "2s"
      mode     = "delay"
    }

    network {
      mode = "host"
      port "api" {
        static = var.port
      }
      port "admin" {
        static = var.admin_port
      }
    }

    service {
      name     = "pilotlight"
      provider = "consul"
      port     = "api"

      check {
        name     = "ready"
        type     = "http"
        path     = "/readyz"
        interval = "2s"
        timeout  = "1s"
      }
    }

    task "pilotlight" {
      driver       = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = var.drain

      config {
        command = var.program
        args    = ["serve", "--config", "${NOMAD_TASK_DIR}/pilotlight.hcl"]
      }

      template {
        data            = var.config
        destination     = "${NOMAD_TASK_DIR}/pilotlight.hcl"
        left_delimiter  = "[[["
        right_delimiter = "]]]"
        change_mode     = "restart"
      }

      dynamic "template" {
        for_each = var.secrets == "" ? [] : [var.secrets]
        content {
          data        = "{{ with nomadVar \"${template.value}\" }}{{ range .Tuples }}{{ .K }}={{ .V | toJSON }}\n{{ end }}{{ end }}"
          destination = "${NOMAD_SECRETS_DIR}/pilotlight.env"
          env         = true
          change_mode = "restart"
        }
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
