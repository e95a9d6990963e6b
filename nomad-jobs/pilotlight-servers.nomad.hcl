# Several Pilotlight servers of one cluster, as one service on Nomad behind Consul: pilotlight.service.consul is those that are ready.
#
#   nomad job run -var count=2 -var secrets=nomad/jobs/pilotlight -var "config=$(cat pilotlight.hcl)" pilotlight-servers.nomad.hcl
#
# They share a Postgres store; each node keeps a ledger of its own outside the allocation, which it outlives, so there is at most one server a node. The nodes need
# the raw_exec driver enabled, the program at the path given, and the directory that the ledger's lies in. On an update one is replaced after the other: the others serve meanwhile.

variable "program" {
  description = "path of the static binary on the nodes"
  type        = string
  default     = "/usr/local/bin/pilotlight"
}

variable "config" {
  description = "text of pilotlight.hcl, the same for all, with what a node has of its own between [[[ and ]]]; relative paths in it are relative to local/ of the task, so give that of the ledger in full"
  type        = string
  default     = <<-EOT
    api {
      addr = "0.0.0.0:8080"
    }
    store "postgres" {}
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
  description = "path of a Nomad Variable with PILOTLIGHT_DATABASE_URL, PILOTLIGHT_ADMIN_TOKEN, NOMAD_TOKEN and CONSUL_HTTP_TOKEN; empty: none"
  type        = string
  default     = ""
}

variable "count" {
  description = "servers, each on a node of its own"
  type        = number
  default     = 2
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

variable "servers_port" {
  description = "for the other servers, as in the config"
  type        = number
  default     = 8082
}

variable "drain" {
  description = "for requests in flight when one is stopped; the client's max_kill_timeout caps it"
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

  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "5s"
    healthy_deadline  = "5m"
    progress_deadline = "20m"
  }

  group "servers" {
    count          = var.count
    shutdown_delay = "5s" # Consul has told callers before it is stopped

    constraint {
      distinct_hosts = true
    }

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
      port "servers" {
        static = var.servers_port
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
