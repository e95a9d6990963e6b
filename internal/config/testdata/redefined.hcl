cluster = "default"
cluster = "other"
price { gpu_hour_usd = "eight" }
