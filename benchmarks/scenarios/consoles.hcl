question = "Does looking slow the server down?"

step "consoles" {
  about   = "CPU per small request with 200 pages of the console's fleet open, and with none, in turns."
  command = ["consoles"]
}

does_not_show = [
  "A browser's own work: `TestConsole_LargeFleetIsSmooth` measures that ([console-page.json](console-page.json)).",
]
notes = ["The ratio should not be distinguishable from 1."]
