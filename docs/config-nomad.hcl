# Pilotlight on Nomad and Consul: every attribute of this back end, with its default.
#
#   pilotlight config check docs/config-nomad.hcl
#   PILOTLIGHT_ADMIN_TOKEN=... pilotlight serve --config docs/config-nomad.hcl
#   pilotlight job render meta-llama/Meta-Llama-3-8B-Instruct --config docs/config-nomad.hcl
#
# Every attribute may be left out, except gpus and weights of a model that is not in the built-in catalogue, and its engine
# block. Time spans are "500ms", "30s", "9m", "1h30m" or "90d"; memory is "64GiB" or "1.5TiB" (binary) or "64GB" (decimal);
# money is a decimal in quotes. Relative paths are relative to this file's directory. A mistake is reported with its line and
# with what would be right, all mistakes at once. What a node needs, and which rights the tokens, is in nomad.md.
#
# Lines that start with "#|" cannot stand beside what is shown: they are here so that this file names everything.

# Which Pilotlight this is: part of the name and the meta of each of its jobs. Two of them in one namespace never touch each
# other's engines. Letters, digits, - and _. One that is renamed leaves its jobs behind.
cluster = "default"

# The public API: what callers see.
api {
  addr = "127.0.0.1:8080" # "0.0.0.0:8080" or ":8080" for every interface

  # Further prefixes that mean /v1, such as "/api/integrations/dgx/v1".
  path_aliases = []

  # Origins whose pages may call this API from a browser, such as "https://chat.example.com"; "*" = all. A page needs a token all the same.
  cors_origins = []

  # The largest request body. A larger one is answered 413.
  body_limit = "32MiB"

  # What a stream is sent while its model starts, if neither the request (X-Pilotlight-Keepalive) nor its token says:
  # "comment" (an SSE comment), "chunk" (an empty chunk, for clients that choke on comments) or "off".
  keepalive = "comment"

  # The first keep-alive is due after this long, and then one each time as long again. Whatever fails sooner is a plain
  # HTTP error.
  stream_heartbeat = "15s"

  # The memory for all request and answer bodies held at once; at least four times body_limit. Once more than half of it is in
  # use, each organisation is held to its fair share: what is above that waits for 5 s, then is answered 503.
  body_budget = "1GiB"

  # The largest event of a stream that is relayed. What is larger ends its stream with an error, which is held against no engine.
  event_limit = "32MiB"

  # Connections of callers at once. 0 = what the limit of open files (ulimit -n) allows: half of it, less what is kept for the
  # server itself, because each request may need a connection to an engine too.
  max_connections = 0

  # A file that gets a line of JSON for each request, without prompts and answers: docs/operator.md says what is in it. "-" = standard
  # output, "" = none. A file that was renamed is opened anew within a second, or at once by SIGHUP.
  access_log = ""

  # TLS 1.2 or later, and HTTP/1.1 over it. The files are PEM: cert with the certificates between it and the CA behind it, key of mode 0600 (or root's
  # and 0640). When they change they are taken within a second, without a restart; what cannot be used is not taken, and the log says why. With
  # client_ca, callers have to show a certificate of one of its CAs, beside their token.
#|   tls {
#|     cert      = "/etc/pilotlight/api.pem"
#|     key       = "/etc/pilotlight/api.key"
#|     client_ca = "/etc/pilotlight/callers-ca.pem"
#|   }
}

# The admin API: orgs, tokens, models, usage, metrics. Whoever has its token may do everything.
admin {
  # On a loopback address only requests to a loopback name (localhost, 127.0.0.1, [::1]) are answered, so that no web page
  # can reach it through a name of its own. For another host, or behind a proxy that keeps the Host header, listen on an
  # address of the network, and let a firewall or the proxy decide who gets there.
  addr = "127.0.0.1:8081"

  # The environment variable that holds the admin token: at least 24 characters. Never the token itself.
  # Whoever has it is "root" in the audit log, and may do everything.
  token_env = "PILOTLIGHT_ADMIN_TOKEN"

  # Tokens of people and programs, under their names. role is operator (everything), auditor (reads everything, changes nothing) or billing (usage and
  # invoices; closes months, corrects records). The token is in an environment variable, or in a file that nobody else may read (mode 0600). Each line of the
  # file is one that works, so that a new one can be added before the old one is taken out; that takes effect within a second, without a restart.
#|   token "ana" {
#|     role = "auditor"
#|     file = "ana.token"
#|   }
#|   token "month-end" {
#|     role = "billing"
#|     env  = "PILOTLIGHT_BILLING_TOKEN"
#|   }

  # As in api. Commands then want --addr https://..., and PILOTLIGHT_CACERT where the CA is not one of the system's.
#|   tls {
#|     cert      = "/etc/pilotlight/admin.pem"
#|     key       = "/etc/pilotlight/admin.key"
#|     client_ca = "/etc/pilotlight/operators-ca.pem"
#|   }
}

# Where the servers of one cluster meet that share a Postgres store: one of them leads, the others follow it. With SQLite there is one server, and nothing listens here.
servers {
  # What this server listens on for the others. They speak TLS 1.3, in which both sides show that they know the servers key: nobody else learns or does anything.
  addr = ":8082"

  # Where the others reach this server, such as "10.0.0.5:8082"; "" = at addr, on the first private address of this machine where addr names none.
  advertise = ""

  # The environment variable that holds the servers key, 24 characters or more, the same for all; or NAME_FILE names a file that does. Where it is not set, the
  # key is in the Nomad Variable pilotlight/servers/CLUSTER, made there by the first server.
  key_env = "PILOTLIGHT_SERVERS_KEY"
}

# What a GPU costs, in US dollars an hour. Requests are billed by the microsecond: time from dispatch to last byte, times
# GPUs, times this.
price {
  gpu_hour_usd = "8.25"
}

# Where orgs, tokens and usage are kept. Where the server itself runs on Nomad: on a host volume, or it ends with the allocation.
store "sqlite" {
  path = "pilotlight.db"
}
#| store "postgres" {
#|   url_env = "PILOTLIGHT_DATABASE_URL" # the environment variable that holds the URL, such as postgres://user:password@host:5432/database
#| }

# The write-ahead log of usage records, on a local disk. On Nomad: on a host volume too.
ledger {
  dir = "ledger"

  # "async": a record survives the process being killed at once, and a power cut after 50 ms. "sync": an answer's end waits
  # until its record survives a power cut.
  durability = "async"

  # Usage records older than this are deleted.
  retention = "400d"
}

# An endpoint that is sent usage, one event for each usage record, and notices of budgets; as many blocks as there are
# endpoints. A webhook begins with what is used after it was first configured, and goes on where it stopped. Its cursor is kept
# under its name. A change of webhooks needs a restart.
#| webhook "billing" {
#|   # Where events are posted. Redirects are not followed.
#|   url = "https://billing.example.com/usage"
#| 
#|   # The environment variable that holds the secret, never the secret itself. cloudevents: the key of the signatures, 24
#|   # bytes or more, best whsec_ and base64. openmeter, stripe: the API key, which is sent as a bearer token.
#|   secret_env = "BILLING_WEBHOOK_SECRET"
#| 
#|   # "usage": each usage record and correction. "budget.threshold": a budget is used to 50, 80 or 100 %.
#|   events = ["usage"]
#| 
#|   # "cloudevents": batches of CloudEvents 1.0, signed as Standard Webhooks has it. "openmeter": batches of CloudEvents for
#|   # OpenMeter. "stripe": Stripe's meter events, one a request.
#|   format = "cloudevents"
#| 
#|   # Which customer of Stripe or OpenMeter an organisation is. Stripe is sent no other organisation's usage. Not with cloudevents.
#|   customers = { acme = "cus_123" }
#| }

# Traces by OpenTelemetry, of each request: its wait, the activation that it has waited for, the engine. docs/operator.md says what is in them;
# never prompts and answers. What is left open here is taken from the standard OTEL_* variables.
telemetry {
  # Where the collector is, such as "http://127.0.0.1:4318". "" = as OTEL_EXPORTER_OTLP_ENDPOINT says; without it there are no traces.
  otlp_endpoint = ""

  # "http/protobuf" or "grpc" (then the port is 4317 as a rule). "" = as OTEL_EXPORTER_OTLP_PROTOCOL says, else "http/protobuf".
  otlp_protocol = ""

  # Of how many requests, 0 to 1. A caller's traceparent beats it. 1 = as OTEL_TRACES_SAMPLER says, else all.
  sample_ratio = 1
}

# Who decides how many instances stay hot.
autoscaler {
  # "adaptive": weighs GPU time against waiting, per model, from its own arrivals. "fixed": an instance goes after
  # idle_after. "kpa": as Knative scales. "hybrid": a histogram of idle times. Under each, an instance without a request
  # stays hot until idle_after at most.
  policy = "adaptive"

  # GPU-hours that an hour of waiting is worth, above 0. For the adaptive policy; the others do not look at it.
  # `pilotlight pool tune` changes it for one pool.
  latency_weight = 10

  # What idle GPU time counts in a pool's slot, which is held whether or not its engines are parked, from 0 to 1. For the
  # adaptive policy. 0: a model stays hot until idle_after, unless others want its GPUs, for to park it saves nothing. 1:
  # it is parked as soon as idling costs more than it saves. `pilotlight simulate --idle-cost` tries it on a trace.
  idle_cost = 0
}

# Where engines run: each instance of a model without a pool is a Nomad job of its own, and each slot of a pool. A file has one back end.
#
# The NOMAD_* and CONSUL_* variables that the programs nomad and consul read are read here too: NOMAD_ADDR, NOMAD_REGION,
# NOMAD_CACERT, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY, NOMAD_TLS_SERVER_NAME, NOMAD_SKIP_VERIFY, CONSUL_HTTP_ADDR, CONSUL_CACERT,
# CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_NAMESPACE and so on. An attribute that is written here wins over its variable.
backend "nomad" {
  addr = "http://127.0.0.1:4646" # else NOMAD_ADDR; https:// for TLS

  # The environment variable that holds the token. While NOMAD_TOKEN, the default, is not set, Nomad is asked without one; a
  # variable with a name of your own must be set, or serve does not start. The same name with _FILE at its end, NOMAD_TOKEN_FILE, may name a
  # file instead, which wins; it is read anew when the token is refused, so that a token can be replaced while serve runs.
  token_env = "NOMAD_TOKEN"

  namespace   = "default" # of our jobs, and of the variables that secrets names; else NOMAD_NAMESPACE
  datacenters = ["*"]     # where engines may run; "*" matches any number of characters
  node_pool   = "default" # of dedicated models, and of pools that name none; "all" = every pool

  # Tells which engines are alive. The agent or the servers, http:// or https://.
  consul {
    addr      = "http://127.0.0.1:8500" # of one agent; else CONSUL_HTTP_ADDR
    token_env = "CONSUL_HTTP_TOKEN"     # as above
  }
}

# A pool: models whose engines share GPUs, and wait there parked (their process lives, their weights are in host memory) until they are
# asked for again: a resume takes seconds, a start minutes. Its slots are Nomad jobs with all their GPUs on one node, in which `pilotlight slot`
# runs the engines. A file may have several pools, and models without one beside them. What the nodes need for it is in nomad.md.
pool "h100" {
  gpus_per_slot = 8     # 1, 2, 4 or 8; no model of the pool needs more
  node_pool     = "gpu" # of Nomad's nodes; else that of the back end

  # Of each slot, for parked engines; each counts with its model's memory. It is part of what the slot's job asks Nomad for.
  host_memory = "1.5TiB"

  # Engines that may be parked on a GPU beside the one that is awake there, and what each still holds of that GPU. Awake engines are launched with
  # so much less for their KV cache, all of it always; if that leaves the largest model too little, the file is refused. 0 = none is parked.
  max_parked_per_gpu = 4
  parked_gpu_memory  = "4GiB"

  # Whom engines run as, a user's name or number that the image knows (raw_exec: the node). "": nobody where the slot's supervisor is root's, as it is in
  # most images; "same": the supervisor's own user. Their programs, weights and caches have to be open to that user.
  engine_user = ""

  # A slot with nothing awake for this long is given back, with what is parked there. "0s" = never.
  slot_idle = "15m"

  slots {
    min = 0 # kept even if nothing is awake
    max = 4
  }
}

# A model: what callers name, and the engine behind it. One whose id is in the built-in catalogue starts from the
# catalogue's values, so that `model "meta-llama/Meta-Llama-3-8B-Instruct" {}` is a whole block. The catalogue:
#   mistralai/Mixtral-8x22B-Instruct-v0.1 (8 GPUs), mistralai/Mixtral-8x7B-Instruct-v0.1 (2),
#   mistralai/Mistral-7B-Instruct-v0.3 (2), meta-llama/Meta-Llama-3.1-70B-Instruct (4),
#   meta-llama/Meta-Llama-3.1-8B-Instruct (1), meta-llama/Meta-Llama-3-8B-Instruct (1),
#   meta-llama/Meta-Llama-3-70B-Instruct (4), meta-llama/Meta-Llama-3.1-405B-Instruct-FP8 (8)
model "meta-llama/Meta-Llama-3-8B-Instruct" {
  # GPUs of one instance, all of one node: 1, 2, 4 or 8.
  gpus = 1

  # The pool that its instances share. Without one, each instance is a Nomad job that has its GPUs to itself, and nothing is parked. Models
  # of one pool have the same driver and the same image; each slot has the volumes and the secrets of all of them.
  pool = "h100"

  # What callers may use: "chat", "completions", "responses", "messages", or "embeddings" alone: a model is for one or the other.
  # Requests to "responses" and "messages" are translated to chat and back, and both are listed wherever chat is.
  endpoints = ["chat", "completions", "responses", "messages"]

  # false = what the engine does not serve itself is not translated, and not listed.
  translate = true

  # What of it the engine serves itself, and gets as it is. These are what every kind of engine does (trtllm: embeddings by
  # `trtllm-serve embeddings`). Beware: vLLM's "messages" and TensorRT-LLM's "responses" take no cache salt.
  native = ["chat", "completions", "embeddings"]

  context_length  = 8192 # tokens; shown at /v1/models
  max_concurrency = 64   # requests that one instance serves at once; more wait, or start another instance

  # An instance without a request for this long is parked, or, without a pool, stopped: its job is deregistered, never purged.
  idle_after = "5m"

  # Fields that requests to this model may carry beyond OpenAI's and those that its kind of engine documents for one answer, such as
  # "lora_request", and "remote_media" for media that are not data: URLs. All others are refused: they may reach into the engine, or make
  # it fetch what a caller names.
  allow = []

  instances {
    min = 0 # kept hot even without requests
    max = 4
  }

  # Requests that wait for an instance.
  queue {
    limit    = 2048 # together; one more is answered 429
    per_org  = 1024 # of one organisation
    max_wait = "9m" # then 503; stock OpenAI clients give up after 10 minutes
  }

  # "0s" = no limit.
  timeouts {
    start      = "30m" # of an engine, from placement to ready: the image is pulled within it
    first_byte = "10m" # of a request, from dispatch to the first byte of the answer
    idle       = "5m"  # between two bytes of the answer; what silence ends is billed up to the last byte
    total      = "30m" # of a request, from dispatch to the last byte
  }

  # The kinds: "trtllm" (TensorRT-LLM's trtllm-serve), "vllm", "nim", "openai" (any command that serves the OpenAI API),
  # "sim" (the simulator: the command line of trtllm-serve, plus --sim-speed and the other --sim-* flags). On Nomad each
  # has at least one GPU.
  engine "trtllm" {
    # "docker", or "raw_exec": the command as it is on the node, without an image, volumes, or anything that isolates it.
    driver = "docker"

    # Of driver docker. Only kind "trtllm" and "sim" have a default.
    image = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc22"

    # The program and what always comes first. host, port, tp_size and served_model_name are added by Pilotlight, and
    # repeating one in args is an error. Kind "openai" has no default, and says itself where ${host}, ${port} and
    # ${weights} go. Kind "sim" through raw_exec runs the pilotlight binary, at the path that it has where the server runs. "trtllm", "vllm" and
    # "sim" can be parked.
    command = ["trtllm-serve"]
    args    = ["--max_batch_size", "256", "--max_num_tokens", "8192", "--max_seq_len", "8192"]

    # A path as the engine sees it (then nothing is downloaded), or a Hugging Face id. A path on the node's disk needs a volume.
    weights = "meta-llama/Meta-Llama-3-8B-Instruct"

    # Of driver docker: /path/on/the/node:/path/inside, with :ro for what is only read; such as
    # "/srv/weights:/srv/weights:ro" and, for compiled kernels and downloads, "/var/cache/trtllm:/root/.cache".
    volumes = []

    env = {} # environment variables, such as { HF_HUB_OFFLINE = "1" }

    # The path of a Nomad Variable in the namespace; its items become environment variables, such as HF_TOKEN.
    secrets = ""

    memory = "64GiB" # host memory: Nomad's limit of the task, and what a parked instance counts with
    cpu    = 1000    # MHz
  }
}
