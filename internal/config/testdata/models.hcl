backend "local" { gpus = 4 }
model "meta-llama/Meta-Llama-3-8B-Instruct" {
  gpus = 3
  pool = "lokal"
}
model "meta-llama/Meta-Llama-3-8B-Instruct" {}
model "mistralai/Mixtral-8x22B-Instruct-v0.1" {}
model "meta-llama/Meta-Llama-3-70B-Instruct" {
  instances {
    min = 2
  }
}
model "meta-llama/Meta-Llama-3.1-70B-Instruct" {
  gpus = 16
  instances {
    min = 5
  }
}
model "new/one" {
  endpoints = []
}
model "new/two" {
  gpus = 1
  engine "trtllm" {
    args = ["--max_batch_size", "256", "--port", "9000", "--tp_size=4"]
  }
}
model "new/three" {
  gpus = 0
  engine "tensorrt" { weights = "x" }
}
model "new/four" {
  gpus = 0
  engine "openai" {
    command = ["llama-server", "-m", "${weight}"]
    weights = "x"
  }
}
model "new/five" {
  gpus = 1
  engine "openai" {
    command = ["llama-server", "--port", "8000"]
    weights = "x"
  }
}
model "new/six" {
  gpus = 1
  engine "openai" { weights = "x" }
}
model "new/seven" {
  gpus = 1
  engine "vllm" {
    command = []
    args    = ["--tensor-parallel-size", "2"]
    weights = "x"
  }
}
model "new/eight" {
  gpus = 1
  engine "nim" { weights = "x" }
}
model "new eight/" {
  gpus = 1
  engine "sim" {}
}
