# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the tests of the detectors share. After lib.sh.

# shellcheck disable=SC2154 # lib, tmp

# shellcheck source=/dev/null
. "$lib/log.sh"
module=$lib/../../build/tests/debug/dmr-bugs.ko
[ -e "$module" ] || skip 'no dmr-bugs.ko'

# A test that does nothing but to have the bug, run as all tests are.
run_with()
{
	cat >"$tmp/$1" <<-END
	#!/bin/bash
	. "$lib/lib.sh"
	check 'has the bug' insmod "$module" bug=$1
	rmmod dmr-bugs
	${2:-}
	END
	chmod +x "$tmp/$1"
	"$lib/run" "$tmp/$1" || :
}

# finds <bug> <what the log says> [<command>]
finds()
{
	local found
	found=$(run_with "$1" "${3:-}" | grep '^not ok') || :
	like "$1" "$found" "^not ok - $1: kernel log: .*($2)"
}

# What was found here was put there.
forget()
{
	log_new >/dev/null
}
