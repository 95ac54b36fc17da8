#!/usr/bin/env bash
# Runs tests again and again on a machine that is short of processors, and keeps
# what a failing run printed.
#
#	torture/flakes.sh [N] [package ...]
#
# N times (default 10) with -race and GOMAXPROCS 1, 2 and 8 each, the three beside
# each other and a load of its own. The packages are those that start processes,
# unless named. SKIP is a regular expression of tests to leave out. Test binaries
# are built once; those that tests build, whenever they do.
set -uo pipefail
cd "$(dirname "$0")/.."
n=10
if [[ ${1-} =~ ^[0-9]+$ ]]; then
	n=$1
	shift
fi
if [ $# = 0 ]; then
	set -- . ./e2e/... ./runtime/... ./nemesis ./examples/quickstart ./examples/raft
fi
logs=$(mktemp -d "${TMPDIR:-/tmp}/flakes-XXXXXX")
# Each job is a process group, which does not ignore SIGINT as those do that a
# script has in the background, and ends as a whole.
set -m
trap 'for j in $(jobs -p); do kill -- -"$j" 2>/dev/null; done; rm -rf "$logs/bin"' EXIT
trap 'exit 130' INT TERM

mkdir "$logs/bin"
packages=()
while IFS=$'\t' read -r path dir; do
	go test -c -race -o "$logs/bin/${#packages[@]}" "$path" || exit 1
	packages+=("$dir")
done < <(go list -f $'{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}\t{{.Dir}}{{end}}' "$@" | grep .)
[ ${#packages[@]} != 0 ] || exit 1

sh -c 'while :; do :; done' &

# passes runs everything n times with a GOMAXPROCS.
passes() {
	export GOMAXPROCS=$1
	failed=0
	for ((i = 1; i <= n; i++)); do
		for p in "${!packages[@]}"; do
			log=$logs/$i-$1-$p
			if (cd "${packages[p]}" && exec "$logs/bin/$p" -test.timeout=20m ${SKIP:+-test.skip="$SKIP"}) >"$log" 2>&1; then
				rm "$log"
			else
				failed=$((failed + 1))
				echo "pass $i, GOMAXPROCS=$1, ${packages[p]}: $log"
				grep -E '^ *--- FAIL|^panic:' "$log"
			fi
		done
		echo "$(date +%T) pass $i, GOMAXPROCS=$1"
	done
	[ $failed = 0 ]
}
children=()
for procs in 1 2 8; do
	passes $procs &
	children+=($!)
done
failed=0
for c in "${children[@]}"; do
	wait "$c" || failed=1
done
if [ $failed = 0 ]; then
	echo "no failure in $((3 * n)) passes"
	rm -r "$logs"
fi
exit $failed
