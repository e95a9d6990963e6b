question = "Does the price table that readers know come out of real requests' receipts?"

step "prices" {
  about   = "Requests of 500 tokens in and 100 out to the three models of the published table, one after the other, at 8.25 USD a GPU-hour: 1 s on 1 GPU for 0.0023 USD, 2 s on 4 for 0.0184, 5 s on 8 for 0.0917."
  command = ["prices"]
  goal "*: billed / published" { at_most = 1.02 }
  goal "*: cost / published" { at_most = 1.02 }
}

does_not_show = [
  "How fast a real engine is: the simulated ones are made to take what the table says. What is shown is that the way from an engine's time to a receipt adds next to nothing, and that nothing but request time is billed.",
  "Load: one request at a time, so that no batch slows another.",
]
notes = ["The published 70B row multiplies a rounded price (0.0184); the exact one is 0.018333. The ratio is to the exact price."]
