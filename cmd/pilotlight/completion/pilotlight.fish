# Completion of pilotlight for fish. Load it with
#   pilotlight completion fish | source
# or keep it as pilotlight.fish in the directory ~/.config/fish/completions.

function __pilotlight_complete
    set -l typed (commandline --current-process --tokenize --cut-at-cursor)
    set -l word (commandline --current-token --cut-at-cursor)
    set -l answer ($typed[1] __complete $typed[2..] "$word" 2>/dev/null)
    switch "$answer[1]"
        case files
            __fish_complete_path "$word"
        case dirs
            __fish_complete_directories "$word"
        case '*'
            string join \n -- $answer[2..]
    end
end

complete --command pilotlight --no-files --arguments '(__pilotlight_complete)'
