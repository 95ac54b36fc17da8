#!/usr/bin/env bash
# Runs tests again and again on a machine that is short of processors, and keeps
# what a failing run printed.
#
#	torture/flakes.sh [N] [package ...]
#
# N passes (default 30) with -race and GOMAXPROCS 1, 2 and 8, the three beside each
# other, so that the quick one makes more of them, and a load of its own. The
# packages are those that start processes, unless named. SKIP is a regular
# expression of tests to leave out, and RACE= leaves out -race, for more passes.
# Test binaries are built once; those that tests build, whenever they do.
#
# Where cgroups can be had, which takes root, processes of the tests are stopped at
# random for up to two seconds each: what one process may do before another has come
# to it is found that way, and hardly ever by load.
set -uo pipefail
cd "$(dirname "$0")/.."
n=30
if [[ ${1-} =~ ^[0-9]+$ ]]; then
	n=$1
	shift
fi
if [ $# = 0 ]; then
	set -- . ./e2e/... ./runtime/... ./nemesis ./examples/quickstart ./examples/raft
fi
logs=$(mktemp -d "${TMPDIR:-/tmp}/flakes-XXXXXX")
set -m # each job is a process group, and ends as a whole
# What a script has in the background ignores SIGINT, and this one may be there.
# Tests send it.
run=()
if env --default-signal=INT,HUP true 2>/dev/null; then
	run=(env --default-signal=INT,HUP)
fi
cgroup=
cleanUp() {
	for j in $(jobs -p); do kill -- -"$j" 2>/dev/null; done
	if [ "$cgroup" ]; then
		echo 0 >"$cgroup/cgroup.freeze"
		while read -r p; do echo "$p" 2>/dev/null >"${cgroup%/*}/cgroup.procs"; done <"$cgroup/cgroup.procs"
		for _ in {1..50}; do rmdir "$cgroup" 2>/dev/null && break; sleep 0.1; done # until the killed are gone
	fi
	rm -rf "$logs/bin"
}
trap cleanUp EXIT
trap 'exit 130' INT TERM

mkdir "$logs/bin"
packages=()
while IFS=$'\t' read -r path dir; do
	go test -c ${RACE--race} -o "$logs/bin/${#packages[@]}" "$path" || exit 1
	packages+=("$dir")
done < <(go list -f $'{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}\t{{.Dir}}{{end}}' "$@" | grep .)
[ ${#packages[@]} != 0 ] || exit 1

sh -c 'while :; do :; done' &

# frozen prints a cgroup of ours in which nothing runs, if there can be one. Unlike a
# process that SIGSTOP stops, one in there looks as it always does, and can be killed.
frozen() {
	local root cgroup
	root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	cgroup=$root/dist-flakes-$$
	[ "$root" ] && mkdir "$cgroup" 2>/dev/null && echo 1 >"$cgroup/cgroup.freeze" && echo "$cgroup"
}

# stutter holds up a process below this one, chosen at random, again and again.
stutter() {
	local pids pid from
	while :; do
		mapfile -t pids < <(ps -eo pid=,ppid=,comm= | awk -v top=$$ '
			{ parent[$1] = $2; name[$1] = $3 }
			END { for (p in parent) { if (name[p] ~ /^(bash|sleep|ps|awk)$/ || name[p] == "sh" && parent[p] == top) continue
				for (q = p; q in parent; q = parent[q]) if (q == top) { print p; break } } }')
		if [ ${#pids[@]} = 0 ]; then
			sleep 0.1
			continue
		fi
		pid=${pids[RANDOM % ${#pids[@]}]}
		from=$(sed -n 's/^0:://p' "/proc/$pid/cgroup" 2>/dev/null) || continue
		[ "$from" != "/${1##*/}" ] || continue # another has it
		echo "$pid" 2>/dev/null >"$1/cgroup.procs" || continue
		case $((RANDOM % 8)) in
		0) sleep $((RANDOM % 2)).$((RANDOM % 900 + 100)) ;;
		*) sleep 0.0$((RANDOM % 90 + 10)) ;;
		esac
		echo "$pid" 2>/dev/null >"${1%/*}$from/cgroup.procs"
	done
}
if cgroup=$(frozen); then
	for _ in 1 2; do stutter "$cgroup" & done
else
	echo "processes cannot be held up: there is no cgroup to be had"
fi

# passes runs everything with a GOMAXPROCS until there have been n passes.
passes() {
	export GOMAXPROCS=$1
	failed=0
	for ((i = 1; i <= n; i++)); do
		mkdir "$logs/pass-$i" 2>/dev/null || continue # another's
		for p in "${!packages[@]}"; do
			log=$logs/$i-$1-$p
			if (cd "${packages[p]}" && exec "${run[@]}" "$logs/bin/$p" -test.timeout=1h ${SKIP:+-test.skip="$SKIP"}) >"$log" 2>&1; then
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
	echo "no failure in $n passes"
	rm -r "$logs"
fi
exit $failed
