-- Certificates for specs of TLS, made with the openssl program in a new directory.

local certificates = {}

-- openssl refuses days <= 0 for `req`, and `x509 -days -1` depends on the version; `openssl ca` takes dates.
local CONFIGURATION = [[
[ca]
default_ca = authority
[authority]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = anything
x509_extensions = leaf
unique_subject = no
[anything]
commonName = supplied
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[leaf]
basicConstraints = CA:FALSE
subjectAltName = ${ENV::SAN}
]]

local SCRIPT = [[
set -e
cd "$DIRECTORY"
: > index.txt
echo 01 > serial
new_root() {
  SAN=DNS:none openssl req -x509 -config ca.cnf -extensions root -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -days 2 -subj "/CN=$1" -keyout "$1.key" -out "$1.pem"
}
new_leaf() { # name, subject alternative names, authority, start, end
  SAN=$2 openssl req -new -config ca.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
    -keyout "$1.key" -out "$1.csr"
  SAN=$2 openssl ca -batch -notext -config ca.cnf -cert "$3.pem" -keyfile "$3.key" -startdate "$4" -enddate "$5" \
    -in "$1.csr" -out "$1.pem"
}
new_root ca
new_root other_ca
new_leaf good DNS:localhost,IP:127.0.0.1 ca 20200101000000Z 20400101000000Z
new_leaf wrong_name DNS:elsewhere.example ca 20200101000000Z 20400101000000Z
new_leaf expired DNS:localhost,IP:127.0.0.1 ca 20200101000000Z 20210101000000Z
new_leaf unknown_ca DNS:localhost,IP:127.0.0.1 other_ca 20200101000000Z 20400101000000Z
]]

--- Whether specs can use TLS here: the openssl program, and its Lua module for the server.
---@return boolean
function certificates.available()
  return (pcall(require, "openssl.ssl.context")) and os.execute("command -v openssl >/dev/null 2>&1") == true
end

--- Makes a directory with a CA (`set.ca`, a path) and what it signed for `localhost` and 127.0.0.1: `set.good`,
--- `set.wrong_name`, `set.expired`, and `set.unknown_ca` (signed by another one); each is `{ certificate, key }`,
--- as `server.start { tls = … }` takes it. `set:remove()` deletes the directory.
---@return table set
function certificates.make()
  local name = os.tmpname()
  local directory = name .. ".certificates"
  os.remove(name)
  assert(os.execute("mkdir -m 700 " .. directory))
  local function write(file, text)
    local handle = assert(io.open(directory .. "/" .. file, "w"))
    handle:write(text)
    handle:close()
  end
  write("ca.cnf", CONFIGURATION)
  write("make.sh", SCRIPT)
  local command = "env -u LD_PRELOAD -u ASAN_OPTIONS DIRECTORY=%s sh %s/make.sh >%s/log 2>&1"
  if not os.execute(command:format(directory, directory, directory)) then
    local log = assert(io.open(directory .. "/log")):read("a")
    error("openssl failed: " .. log)
  end
  local set = { directory = directory, ca = directory .. "/ca.pem" }
  for _, kind in ipairs { "good", "wrong_name", "expired", "unknown_ca" } do
    set[kind] = { certificate = directory .. "/" .. kind .. ".pem", key = directory .. "/" .. kind .. ".key" }
  end
  function set.remove()
    os.execute("rm -r " .. directory)
  end
  return set
end

return certificates
