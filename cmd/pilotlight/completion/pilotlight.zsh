#compdef pilotlight
# Completion of pilotlight for zsh. Load it with
#   source <(pilotlight completion zsh)
# after compinit, or keep it as _pilotlight in a directory of $fpath.

_pilotlight() {
  local how line tab=$'\t'
  local -a answer texts shown
  answer=("${(@f)$("${words[1]}" __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)words[CURRENT]}" 2>/dev/null)}")
  how=$answer[1]
  for line in "${(@)answer[2,-1]}"; do
    [[ -z $line ]] && continue
    texts+=("${line%%"$tab"*}")
    if [[ $line == *"$tab"* ]]; then
      shown+=("${line%%"$tab"*}  -- ${line#*"$tab"}")
    else
      shown+=("$line")
    fi
  done
  case $how in
    files) _files ;;
    dirs) _files -/ ;;
    open) compadd -S '' -l -d shown -a texts ;;
    *) compadd -l -d shown -a texts ;;
  esac
}

if [[ $funcstack[1] == _pilotlight ]]; then
  _pilotlight "$@"
else
  compdef _pilotlight pilotlight
fi
