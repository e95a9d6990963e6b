# Values of dedicated.nomad.hcl for mistralai/Mistral-7B-Instruct-v0.3 on 2 H100 with 80 GB.
model  = "mistralai/Mistral-7B-Instruct-v0.3"
gpus   = 2
memory = 32768
args   = ["mistralai/Mistral-7B-Instruct-v0.3", "--host", "$${NOMAD_IP_engine}", "--port", "$${NOMAD_PORT_engine}", "--tp_size", "2", "--served_model_name", "mistralai/Mistral-7B-Instruct-v0.3", "--max_batch_size", "256"]
