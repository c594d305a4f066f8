#!/bin/sh
# Looks for the proxies that `make compare` runs beside an edge and that systems have packages of, and installs what is
# missing where that can be done. What is then still missing is left out of the comparison, so this never fails.
set -u

# have PROGRAM: it is on PATH, or where servers are that only root starts.
have() {
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/usr/local/sbin/$1" ]
}

missing=
have nginx || missing="$missing nginx-light"
have haproxy || missing="$missing haproxy"
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
	echo "apt-get installs$missing"
	apt-get update -qq
	# shellcheck disable=SC2086 # they are several
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
echo "NOTICE: not compared with, because it is not installed:$missing" >&2
