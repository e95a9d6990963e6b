# Values of dedicated.nomad.hcl for mistralai/Mixtral-8x22B-Instruct-v0.1 on 8 H100 with 80 GB.
model  = "mistralai/Mixtral-8x22B-Instruct-v0.1"
gpus   = 8
memory = 319488
args   = ["mistralai/Mixtral-8x22B-Instruct-v0.1", "--host", "$${NOMAD_IP_engine}", "--port", "$${NOMAD_PORT_engine}", "--tp_size", "8", "--served_model_name", "mistralai/Mixtral-8x22B-Instruct-v0.1", "--ep_size", "8", "--max_batch_size", "256"]
