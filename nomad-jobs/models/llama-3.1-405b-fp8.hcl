# Values of dedicated.nomad.hcl for meta-llama/Meta-Llama-3.1-405B-Instruct-FP8 on 8 H100 with 80 GB.
# TensorRT-LLM does not load Meta's own FP8 checkpoint, whose scales are row-wise (NVIDIA/TensorRT-LLM#3554): NVIDIA's is served under Meta's name.
model  = "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"
gpus   = 8
memory = 450560
args   = ["nvidia/Llama-3.1-405B-Instruct-FP8", "--host", "$${NOMAD_IP_engine}", "--port", "$${NOMAD_PORT_engine}", "--tp_size", "8", "--served_model_name", "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8", "--max_batch_size", "64", "--max_seq_len", "16384", "--kv_cache_dtype", "fp8"]
