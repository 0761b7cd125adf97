--- What the shells are told, each in its own language: to ask the program what a word may become. So they know what the installed
--- version knows. CMake installs these scripts where the shells look; this file requires nothing, so that it can be read alone.

return {
  bash = [[
_llama_cloud() {
  local IFS=$'\n'
  COMPREPLY=($(llama-cloud __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}
complete -o default -F _llama_cloud llama-cloud
]],
  zsh = [[
#compdef llama-cloud
_llama_cloud() {
  local -a found described
  local line
  found=("${(@f)$(llama-cloud __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $found; do
    described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  if (( $#described )); then
    _describe llama-cloud described
  else
    _files
  fi
}
if [ "$funcstack[1]" = _llama-cloud ]; then # zsh has found this file by itself, and runs it to complete a word
  _llama_cloud
else
  compdef _llama_cloud llama-cloud
fi
]],
  fish = [[
function __llama_cloud_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found (llama-cloud __complete $words[2..-1] 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c llama-cloud -f -a '(__llama_cloud_complete)'
]],
}
