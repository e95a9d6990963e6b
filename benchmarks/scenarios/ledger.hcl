question = "Does the ledger keep up with what is billed, and can it be read meanwhile?"

step "ledger" {
  about   = "Usage of a month, a page of records, a receipt and others, of ten million records of 100 organisations, while 5,000 a second arrive; then 20,000 a second for twenty seconds, and how long they wait in the log for the store."
  command = ["ledger"]
  goal "month p99" {
    at_most = 20
    unit    = "ms"
  }
  goal "page p99" {
    at_most = 20
    unit    = "ms"
  }
  goal "receipt p99" {
    at_most = 20
    unit    = "ms"
  }
  goal "in-log-second-half p99" {
    at_most = 500
    unit    = "ms"
  }
}

does_not_show = [
  "HTTP, tokens and rights on the way to the ledger.",
  "Postgres, or a slow disk: SQLite on the machine's own.",
  "Several readers at once: one asks, one query at a time.",
]
notes = ["`month` is `usage --month` of all organisations, `page` 100 records of one organisation from any record on, `receipt` one of any request, `of-no-records` the last 36 hours of an organisation that has none, `page-of-all` 100 records of all organisations by a page's `next_cursor`; by a bare record ID it has to be looked up: `page-of-all-by-id`."]
