#!/bin/sh
# A stream, and its receipt: what waited, what was billed, what it cost.
set -eu
base=${PILOTLIGHT_BASE:-http://127.0.0.1:8080}
request=example-$$

curl -fsSN "$base/v1/chat/completions" -H "Authorization: Bearer $PILOTLIGHT_TOKEN" -H "X-Request-Id: $request" -H "Content-Type: application/json" \
  -d '{"model": "meta-llama/Meta-Llama-3.1-8B-Instruct", "stream": true, "max_tokens": 16, "messages": [{"role": "user", "content": "What is a pilot light?"}]}'
curl -fsS "$base/v1/usage/$request" -H "Authorization: Bearer $PILOTLIGHT_TOKEN"
