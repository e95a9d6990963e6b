# Values of dedicated.nomad.hcl for mistralai/Mixtral-8x7B-Instruct-v0.1 on 2 H100 with 80 GB.
model  = "mistralai/Mixtral-8x7B-Instruct-v0.1"
gpus   = 2
memory = 106496
args   = ["mistralai/Mixtral-8x7B-Instruct-v0.1", "--host", "$${NOMAD_IP_engine}", "--port", "$${NOMAD_PORT_engine}", "--tp_size", "2", "--served_model_name", "mistralai/Mixtral-8x7B-Instruct-v0.1", "--ep_size", "2", "--max_batch_size", "128"]
