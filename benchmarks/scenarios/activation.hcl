question = "What does an activation add to the engine's own start, by back end?"
needs    = ["for raw_exec: the first run builds Nomad and Consul from their modules, some ten minutes each", "for docker: root, and Debian's `docker.io`"]

step "activation" {
  about   = "A cold request's wait beyond its engine's own start: embedded, and on a real Nomad and Consul in turns with the very same job, submitted by hand and asked every 2 ms until it has generated a token."
  command = ["activation", "--on", "embedded,raw_exec,docker"]
  goal "embedded: the same, less the engine's own start" { at_most = 5 }
  goal "nomad, raw_exec: ours / by hand, of the medians" { at_most = 1.1 }
  goal "nomad, docker: ours / by hand, of the medians" { at_most = 1.2 }
}

does_not_show = [
  "The start of a real engine, which takes minutes: the engine here loads nothing, so that all else is seen.",
  "A busy cluster: one node, nothing else to place. Images are there already.",
]
notes = [
  "Embedded, the engine's own start is the time that its thread has been on a CPU for loading the program and initialising its packages, some 2 to 3 ms, and what then passes until it listens. All else counts as Pilotlight's.",
  "What Nomad takes of it stands below each figure, from its own timestamps: stored, evaluated, placed, task started.",
]
