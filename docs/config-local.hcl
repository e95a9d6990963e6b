# Pilotlight on one machine: every attribute, with its default.
#
#   pilotlight config check docs/config-local.hcl
#   PILOTLIGHT_ADMIN_TOKEN=... pilotlight serve --config docs/config-local.hcl
#
# Every attribute may be left out, except gpus and weights of a model that is not in the built-in catalogue, and its engine
# block. Time spans are "500ms", "30s", "9m", "1h30m" or "90d"; memory is "64GiB" or "1.5TiB" (binary) or "64GB" (decimal);
# money is a decimal in quotes. Relative paths are relative to this file's directory (under `pilotlight dev`: to its data
# directory). A mistake is reported with its line and with what would be right, all mistakes at once.
#
# Lines that start with "#|" cannot stand beside what is shown: they are here so that this file names everything.

# Which Pilotlight this is: two of them never touch each other's engines. Letters, digits, - and _.
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

# What a GPU costs, in US dollars an hour. Requests are billed by the microsecond: time from dispatch to last byte, times
# GPUs, times this.
price {
  gpu_hour_usd = "8.25"
}

# Where orgs, tokens and usage are kept.
store "sqlite" {
  path = "pilotlight.db"
}
#| store "postgres" {
#|   url_env = "PILOTLIGHT_DATABASE_URL" # the environment variable that holds the URL, such as postgres://user:password@host:5432/database
#| }

# The write-ahead log of usage records, on a local disk.
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

# Where engines run: as child processes on this machine. A file has one back end; for Nomad see config-nomad.hcl.
backend "local" {
  gpus        = 8        # of this machine; engines share them
  host_memory = "1.5TiB" # host memory for parked engines
}

# On the local back end every model is in the one pool "local", which is there without a block too. Engines that give up
# their GPUs are parked in it: they keep their weights in host memory, and are back in seconds. `pilotlight pool tune`
# changes these at once.
pool "local" {
  host_memory        = "1.5TiB" # for parked engines, counted as the memory of their engine blocks; the back end's by default
  max_parked_per_gpu = 4        # beside an awake one; 0 = engines are stopped instead of parked
  parked_gpu_memory  = "4GiB"   # what a parked engine still holds on each of its GPUs

  # Whom engines run as, a user's name or number. "": nobody where this server is root's, else the server's own user; "same": the server's own. Their
  # programs and weights have to be readable for that user.
  engine_user = ""
}

# A model: what callers name, and the engine behind it. One whose id is in the built-in catalogue starts from the
# catalogue's values, so that `model "meta-llama/Meta-Llama-3-8B-Instruct" {}` is a whole block. The catalogue:
#   mistralai/Mixtral-8x22B-Instruct-v0.1 (8 GPUs), mistralai/Mixtral-8x7B-Instruct-v0.1 (2),
#   mistralai/Mistral-7B-Instruct-v0.3 (2), meta-llama/Meta-Llama-3.1-70B-Instruct (4),
#   meta-llama/Meta-Llama-3.1-8B-Instruct (1), meta-llama/Meta-Llama-3-8B-Instruct (1),
#   meta-llama/Meta-Llama-3-70B-Instruct (4), meta-llama/Meta-Llama-3.1-405B-Instruct-FP8 (8)
model "meta-llama/Meta-Llama-3-8B-Instruct" {
  # GPUs of one instance: 1, 2, 4 or 8. 0 is for engines of kind "openai", on this machine's CPU, and costs nothing.
  gpus = 1

  # On the local back end there is only this one.
  pool = "local"

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

  # The longest an instance stays hot without a request, under every policy. (`pilotlight dev`: 30s.)
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
    start      = "30m" # of an engine, from launch to ready
    first_byte = "10m" # of a request, from dispatch to the first byte of the answer
    idle       = "5m"  # between two bytes of the answer; what silence ends is billed up to the last byte
    total      = "30m" # of a request, from dispatch to the last byte
  }

  # The kinds: "trtllm" (TensorRT-LLM's trtllm-serve), "vllm", "nim", "openai" (any command that serves the OpenAI API),
  # "sim" (the simulator: the command line of trtllm-serve, plus --sim-speed and the other --sim-* flags).
  engine "trtllm" {
    # The program and what always comes first. host, port, tp_size and served_model_name are added by Pilotlight, and
    # repeating one in args is an error. Kind "openai" has no default, and says itself where ${host}, ${port} and
    # ${weights} go: ["llama-server", "-m", "${weights}", "--host", "${host}", "--port", "${port}"]. (Without ${port},
    # --host and --port are appended.)
    command = ["trtllm-serve"]
    args    = ["--max_batch_size", "256", "--max_num_tokens", "8192", "--max_seq_len", "8192"]

    # A path on this machine (then nothing is downloaded), or a Hugging Face id. A relative path starts with "./" or "../",
    # or ends in ".gguf".
    weights = "meta-llama/Meta-Llama-3-8B-Instruct"

    env = {} # environment variables, such as { HF_HUB_OFFLINE = "1" }

    memory = "64GiB" # host memory: of the engine, and what it keeps while parked

    # On Nomad only; the local back end runs command as it is.
    driver  = "docker" # or "raw_exec"
    image   = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc22"
    volumes = []   # such as "/srv/weights:/srv/weights:ro"
    secrets = ""   # a Nomad Variable path; its items become environment variables
    cpu     = 1000 # MHz
  }
}

# A second one, as short as they get: a GGUF file on the CPU, through llama.cpp.
#
# model "local/gemma" {
#   gpus = 0
#   engine "openai" {
#     command = ["llama-server", "-m", "${weights}", "--host", "${host}", "--port", "${port}"]
#     weights = "gemma.gguf"
#   }
# }
