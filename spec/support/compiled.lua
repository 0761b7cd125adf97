-- Compiles what the library would compile at its first use (base/later.lua): for chunks whose every allocation counts.
for name in pairs(package.preload) do
  if name:find("^llama_cloud%.") then
    require(name)
  end
end
