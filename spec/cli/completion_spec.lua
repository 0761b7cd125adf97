-- Completion in the shells themselves. What it offers is in commands_spec.lua.

local cli = require("spec.support.cli")

describe("in bash", function()
  it("completion asks the program, and leaves names of files to the shell", function()
    local out, err = cli.shell(
      nil,
      [[
        export preload
        bash -c '
          llama-cloud() { env ${preload:+LD_PRELOAD="$preload"} "$lua" "$program" "$@"; }
          eval "$(llama-cloud completion bash)"
          complete -p llama-cloud
          ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _llama_cloud; echo "${COMPREPLY[@]}"; }
          ask llama-cloud ba
          ask llama-cloud batches wa
          ask llama-cloud batches list --format = js
          ask llama-cloud --key-file ""
        '
      ]]
    )
    assert.equal("", err)
    assert.equal("complete -o default -F _llama_cloud llama-cloud\nbatches\nwait watch wait-all\njson jsonl\n\n", out)
  end)
end)

-- Runs a script of another shell, if there is that shell, in which llama-cloud is the program.
local function in_shell(shell, script)
  if not os.execute(("command -v %s >/dev/null"):format(shell)) then
    return pending(shell .. " is not installed")
  end
  local folder = os.tmpname()
  os.remove(folder)
  assert.is_true(os.execute("mkdir " .. folder))
  local file = assert(io.open(folder .. "/llama-cloud", "w"))
  file:write('#!/bin/sh\nexec env ${preload:+LD_PRELOAD="$preload"} "$lua" "$program" "$@"\n')
  file:close()
  local setting = "export preload; chmod +x %s/llama-cloud; PATH=%s:$PATH; cd %s; touch key; %s"
  local out, err = cli.shell(nil, setting:format(folder, folder, folder, script))
  os.execute("rm -r " .. folder)
  assert.equal("", err)
  return out
end

describe("in zsh", function()
  it("completion describes what there is, and leaves names of files to the shell", function()
    local out = in_shell(
      "zsh",
      [[zsh -f -c '
        compdef() { echo "$@"; }
        _describe() { print -rl -- "${(P@)2}"; }
        _files() { echo files; }
        eval "$(llama-cloud completion zsh)"
        ask() { words=("$@"); CURRENT=$#words; _llama_cloud; }
        ask llama-cloud batches wait-
        ask llama-cloud batches list --format=js
        ask llama-cloud --key-file ""
      ']]
    )
    assert.equal(
      "_llama_cloud llama-cloud\nwait-all:Waits for several batches, and shows each as it ends\n"
        .. "--format=json:\n--format=jsonl:\nfiles\n",
      out
    )
  end)
end)

describe("in fish", function()
  it("completion describes what there is, and leaves names of files to the shell", function()
    local out = in_shell(
      "fish",
      [[HOME=$PWD XDG_DATA_HOME=$PWD fish --no-config -c '
        llama-cloud completion fish | source
        complete -C "llama-cloud batches wait-"
        complete -C "llama-cloud batches list --format=js"
        complete -C "llama-cloud --key-file k"
      ']]
    )
    assert.equal(
      "wait-all\tWaits for several batches, and shows each as it ends\n" .. "--format=json\n--format=jsonl\nkey\n",
      (out:gsub("\t\n", "\n"))
    )
  end)
end)
