# Values of dedicated.nomad.hcl for meta-llama/Meta-Llama-3.1-70B-Instruct on 4 H100 with 80 GB.
model  = "meta-llama/Meta-Llama-3.1-70B-Instruct"
gpus   = 4
memory = 163840
args   = ["meta-llama/Meta-Llama-3.1-70B-Instruct", "--host", "$${NOMAD_IP_engine}", "--port", "$${NOMAD_PORT_engine}", "--tp_size", "4", "--served_model_name", "meta-llama/Meta-Llama-3.1-70B-Instruct", "--max_batch_size", "128", "--max_seq_len", "32768", "--enable_chunked_prefill"]
