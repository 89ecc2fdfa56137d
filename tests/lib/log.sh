# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# The kernel log, for those that run tests: whatever is logged is looked at once, also
# between two tests and after the last.

looked_at='tests: looked at up to here'

complaint='BUG[: ]|WARNING: |Oops|KASAN|UBSAN|KCSAN|general protection fault'
complaint="$complaint|suspicious RCU|possible (circular|recursive) locking"
complaint="$complaint|inconsistent lock state|INFO: task .* blocked|INFO: rcu"
complaint="$complaint|INFO: trying to register|locking correctness validator"
complaint="$complaint|ODEBUG|kmemleak: [1-9]"

# log_start: where nobody has looked before, what is there already is not the tests'
log_start()
{
	dmesg | grep -qF "$looked_at" || echo "$looked_at" >/dev/kmsg
}

# log_new: what was logged since; 1 when it was more than the log has room for, and only
# the end of it is there
log_new()
{
	echo "$looked_at" >/dev/kmsg
	dmesg | awk -v mark="$looked_at" '
	index($0, mark) { from = to; to = NR }
	{ line[NR] = $0 }
	END {
		for (i = from + 1; i < to; i++)
			print line[i]
		exit !from
	}'
}
