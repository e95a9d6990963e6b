# Values of dedicated.nomad.hcl for meta-llama/Meta-Llama-3.1-8B-Instruct on 1 H100 with 80 GB.
model  = "meta-llama/Meta-Llama-3.1-8B-Instruct"
gpus   = 1
memory = 32768
args   = ["meta-llama/Meta-Llama-3.1-8B-Instruct", "--host", "$${NOMAD_IP_engine}", "--port", "$${NOMAD_PORT_engine}", "--tp_size", "1", "--served_model_name", "meta-llama/Meta-Llama-3.1-8B-Instruct", "--max_batch_size", "256", "--max_num_tokens", "8192", "--max_seq_len", "32768", "--enable_chunked_prefill"]
