# Completion of pilotlight for bash. Load it with
#   source <(pilotlight completion bash)
# or keep it as pilotlight in the directory ~/.local/share/bash-completion/completions.

_pilotlight() {
  local how line tab=$'\t'
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ -z $how ]]; then
      how=$line
    else
      COMPREPLY+=("${line%%"$tab"*}")
    fi
  done < <("$1" __complete --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  local word=${COMP_WORDS[COMP_CWORD]}
  [[ $word == [:=] ]] && word=
  case $how in
    files) mapfile -t COMPREPLY < <(compgen -f -- "$word"); compopt -o filenames 2>/dev/null ;;
    dirs) mapfile -t COMPREPLY < <(compgen -d -- "$word"); compopt -o filenames 2>/dev/null ;;
    open) compopt -o nospace 2>/dev/null ;;
  esac
}

complete -F _pilotlight pilotlight
