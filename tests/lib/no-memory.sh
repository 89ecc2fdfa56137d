# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Memory that is short for I/O only. After lib.sh.

fault=/sys/kernel/debug/failslab
pages=/sys/kernel/debug/fail_page_alloc
failures=10000000

# half_fails <cache>...: of all bios, of what dm-io keeps of them, and of those caches.
# They are for I/O alone, so it does not matter who asks.
half_fails()
{
	local cache caches=()
	[ -d $fault ] || skip 'no failslab'
	for cache in /sys/kernel/slab/{bio-*,biovec-*,dm_io,io} \
		"${@/#//sys/kernel/slab/}"; do
		# 6.1 does not let them be chosen.
		if { echo 1 >"$cache/failslab"; } 2>/dev/null; then
			caches+=("$cache")
		fi
	done
	[ "${#caches[@]}" -gt 0 ] || skip 'no filter by cache'
	echo 0 >$fault/verbose
	echo Y >$fault/cache-filter
	echo N >$fault/ignore-gfp-wait
	echo N >$fault/task-filter
	echo 1 >$fault/interval
	echo $failures >$fault/times
	echo 50 >$fault/probability
	defer sh -c "echo N >$fault/cache-filter; echo Y >$fault/ignore-gfp-wait
		for i in ${caches[*]}; do [ ! -d \$i ] || echo 0 >\$i/failslab; done"
	defer memory_is_back
}

# half_of_pages_fail: those for which nobody waits; it does not matter who asks
half_of_pages_fail()
{
	[ -d $pages ] || skip 'no fail_page_alloc'
	echo 0 >$pages/verbose
	echo 0 >$pages/min-order
	echo N >$pages/task-filter
	echo 1 >$pages/interval
	echo -1 >$pages/times
	echo 50 >$pages/probability
	defer memory_is_back
}

# half_of_ours_fails: of all that is asked for with a function of ours on the stack, in a
# worker or not, and by who may wait. Only where the kernel looks at stacks.
half_of_ours_fails()
{
	local f
	# name size users by state address
	# shellcheck disable=SC2046 # words
	set -- $(grep '^dm_remap_v4 ' /proc/modules)
	echo N >$fault/cache-filter
	echo N >$pages/ignore-gfp-highmem
	for f in $fault $pages; do
		echo 0 >"$f/verbose"
		echo N >"$f/ignore-gfp-wait"
		echo N >"$f/task-filter"
		echo 32 >"$f/stacktrace-depth"
		printf '%#x' $(($6)) >"$f/require-start"
		printf '%#x' $(($6 + $2)) >"$f/require-end"
		echo 1 >"$f/interval"
		echo $failures >"$f/times"
		echo 50 >"$f/probability"
	done
	echo 0 >$pages/min-order
	defer sh -c "echo Y >$pages/ignore-gfp-highmem
		for f in $fault $pages; do
			echo Y >\$f/ignore-gfp-wait
			echo 0 >\$f/require-start
			echo 0xffffffffffffffff >\$f/require-end
		done"
	defer memory_is_back
}

memory_is_back()
{
	echo 0 >$fault/probability
	echo 0 >$pages/probability
}

# has_failed: how many
has_failed()
{
	echo $((failures - $(cat $fault/times)))
}
