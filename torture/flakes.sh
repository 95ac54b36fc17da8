#!/usr/bin/env bash
# Runs tests again and again on a machine that is short of processors, and keeps
# what a failing run printed.
#
#	torture/flakes.sh [N] [package ...]
#
# N times (default 10) with -race and GOMAXPROCS 1, 2 and 8 each, beside a load of
# its own. The packages are those that start processes, unless named.
set -uo pipefail
cd "$(dirname "$0")/.."
n=10
if [[ ${1-} =~ ^[0-9]+$ ]]; then
	n=$1
	shift
fi
if [ $# = 0 ]; then
	set -- . ./runtime/... ./nemesis ./examples/quickstart ./examples/raft
fi
logs=$(mktemp -d "${TMPDIR:-/tmp}/flakes-XXXXXX")
load=
trap '[ -z "$load" ] || kill "$load" 2>/dev/null' EXIT
trap 'exit 130' INT TERM
sh -c 'while :; do :; done' &
load=$!
failed=0
for ((i = 1; i <= n; i++)); do
	for procs in 1 2 8; do
		log=$logs/$i-$procs
		if GOMAXPROCS=$procs go test -race -count=1 -timeout=20m "$@" >"$log" 2>&1; then
			rm "$log"
		else
			failed=$((failed + 1))
			echo "run $i, GOMAXPROCS=$procs: $log"
			grep -E '^ *--- FAIL|^panic:|^FAIL' "$log"
		fi
	done
done
echo "$failed of $((3 * n)) runs failed"
[ $failed = 0 ] && rmdir "$logs"
[ $failed = 0 ]
