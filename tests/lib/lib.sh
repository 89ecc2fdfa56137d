# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the tests share. A test begins
#
#	#!/bin/bash
#	# SPDX-License-Identifier: GPL-2.0-only
#	# What it shows, in a line.
#	# limit: 300
#	. "$(dirname "$0")/../lib/lib.sh"
#
# and goes on with checks; it ends with the file, or with the first command that
# fails outside one. What it made is then removed, the last first. Tests work in
# $tmp, and on devices of their own only. "limit" is in seconds; run allows thrice that, for a
# host under load.
#
# LEVEL says how much of it: quick (in seconds), ci, full. SEED, if given, starts
# its random numbers.
set -eu

lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$lib/../../build/tests:$PATH:/usr/sbin:/sbin
export DM_DISABLE_UDEV=1
LEVEL=${LEVEL:-ci}
SEED=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
# Of tests that do it all twice, with each of these; who has no time takes one.
TABLES=${TABLES:-volatile format}
export LEVEL SEED

tmp=$(mktemp -d)
points=0
failed=0

#
# TAP
#

ok()
{
	points=$((points + 1))
	echo "ok $points - $*"
}

not_ok()
{
	points=$((points + 1))
	failed=$((failed + 1))
	echo "not ok $points - $*"
}

note()
{
	echo "$*" | sed 's/^/# /'
}

# check <what> <command>...: the command must succeed
check()
{
	local what=$1
	shift
	if "$@" >"$tmp/check" 2>&1; then
		ok "$what"
	else
		not_ok "$what"
		note "$* failed"
		note "$(tail -n 20 "$tmp/check")"
	fi
}

# fails <command>...: as a command for check
fails()
{
	! "$@"
}

# same <what> <found> <expected>
same()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1"
		note "expected: $3"
		note "found:    $2"
	fi
}

# like <what> <found> <extended regular expression>
like()
{
	if [[ $2 =~ $3 ]]; then
		ok "$1"
	else
		not_ok "$1"
		note "expected: $3"
		note "found:    $2"
	fi
}

# skip <reason>: the whole test
skip()
{
	echo "1..0 # SKIP $*"
	exit 4
}

# amount <quick> <ci> <full>: the one for LEVEL
amount()
{
	case $LEVEL in
	quick)	echo "$1" ;;
	ci)	echo "$2" ;;
	full)	echo "$3" ;;
	*)	echo "LEVEL=$LEVEL: not one of quick, ci, full" >&2; return 1 ;;
	esac
}

# require <program or kernel module>...: or the test is skipped
require()
{
	local it
	for it; do
		command -v "$it" >/dev/null || modprobe -q "$it" ||
			[ -d "/sys/module/${it//-/_}" ] || skip "no $it"
	done
}

#
# Devices. Each function leaves the path in $dev, and removes it in the end.
#

# defer <command>...: done when the test ends
defer()
{
	deferred+=("$(printf '%q ' "$@")")
}
deferred=()

# loop_device <size> [<logical block>]: a sparse file; sizes as truncate has them
loop_device()
{
	local file
	require loop
	file=$(mktemp -p "$tmp" disk.XXXXXX)
	truncate -s "$1" "$file"
	dev=$(losetup -f --show -b "${2:-512}" "$file")
	defer rm "$file"
	defer losetup -d "$dev"
}

# ram_disks <number> <MB>: /dev/ram0 and on; one call a test. A word such as "100"
# for a device makes the kernel load brd by itself, with sizes of its own.
ram_disks()
{
	modprobe -q -r brd || :
	modprobe brd "rd_nr=$1" "rd_size=$(($2 * 1024))" 2>/dev/null || skip 'no brd'
	defer modprobe -r brd
	dev=/dev/ram0
}

# null_device <name> <attribute>=<value>...: in null_blk's configfs
null_device()
{
	local dir=/sys/kernel/config/nullb/$1 name=$1 pair
	modprobe null_blk nr_devices=0 2>/dev/null || skip 'no null_blk'
	mkdir "$dir"
	defer rmdir "$dir"
	shift
	for pair in memory_backed=1 "$@" power=1; do
		[ -e "$dir/${pair%%=*}" ] || skip "no ${pair%%=*} in null_blk"
		echo "${pair#*=}" >"$dir/${pair%%=*}"
	done
	dev=/dev/$name
	[ -b "$dev" ] || dev=/dev/nullb$(cat "$dir/index")
}

# scsi_disk <module parameter>=<value>...: of scsi_debug
scsi_disk()
{
	local disk
	require sd_mod
	modprobe scsi_debug "$@" 2>/dev/null || skip 'no scsi_debug'
	defer modprobe -r scsi_debug
	for _ in $(seq 600); do
		for disk in /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/*; do
			dev=/dev/${disk##*/}
			[ ! -b "$dev" ] || return 0
		done
		sleep 0.1
	done
	return 1
}

sectors()
{
	blockdev --getsz "$1"
}

# dm_device <name> <table>: any device-mapper device; a test may remove it itself
dm_device()
{
	dmsetup create "$1" --table "$2"
	defer remove_device "$1"
	dev=/dev/mapper/$1
}

# slow_device <name> <device> <ms of reads> [<ms of writes>]
slow_device()
{
	require dm-delay
	dm_device "$1" "0 $(sectors "$2") delay $2 0 $3 $2 0 ${4:-$3}"
}

# new_table <name>: another table, on stdin, for a device in use
new_table()
{
	dmsetup suspend --noflush --nolockfs "$1"
	dmsetup load "$1"
	dmsetup resume "$1"
}

remove_device()
{
	! dmsetup info "$1" >/dev/null 2>&1 || dmsetup remove --retry "$1"
}

# remap_device <name> <main> <spare> [<option>...]: ours
remap_device()
{
	local name=$1 main=$2 spare=$3
	shift 3
	dm_device "$name" \
		"0 $(sectors "$main") dm-remap-v4 $main $spare${1:+ $# $*}"
}

#
# Our target
#

# message <device> <word>...: to the target at sector 0; prints the reply, or the
# errno's name
message()
{
	local name=$1
	shift
	dm message "${name#/dev/mapper/}" 0 "$@"
}

# module_goes: and comes again. Its caches tell of remaps that are left, kmemleak of all
# else, where it is on.
module_goes()
{
	local leaks=/sys/kernel/debug/kmemleak
	check 'the module goes' modprobe -r dm-remap-v4
	if { echo scan >$leaks; } 2>/dev/null; then
		# What is younger than 5 s was not looked at.
		sleep 6
		echo scan >$leaks
		same 'nothing is lost' "$(head -c 4000 $leaks)" ''
	else
		# It turns itself off for want of memory.
		check 'nobody wants kmemleak' fails grep -qw kmemleak=on /proc/cmdline
	fi
	modprobe dm-remap-v4
}

# log_mark: what log_since prints begins here
log_mark()
{
	mark="mark $$.$RANDOM$RANDOM"
	echo "$mark" >/dev/kmsg
}

log_since()
{
	dmesg | sed "1,/$mark/d"
}

# fails_saying <what> <extended regular expression> <command>...: it fails, and the kernel
# log says why
fails_saying()
{
	log_mark
	check "$1" fails "${@:3}"
	like '... and says why' "$(log_since)" "$2"
}

# Everything about a device that a refusal must not change.
state_of()
{
	dmsetup status --noflush "$1"
	dmsetup table "$1"
	message "$1" list
}

# refuses <errno's name> <value> <device> <word>...: the message fails so, the
# kernel log names the value, health repeats it, and nothing has changed
refuses()
{
	local errno=$1 value=$2 name=${3#/dev/mapper/} before found wrong=''
	shift 3
	before=$(state_of "$name")
	log_mark
	if found=$(message "$name" "$@"); then
		wrong="was accepted: $found"
	elif [ "$found" != "$errno" ]; then
		wrong="errno: $found, not $errno"
	elif ! log_since | grep -qF "$value"; then
		wrong="the log does not name $value: $(log_since)"
	elif ! message "$name" health | grep -qF "$value"; then
		wrong="health does not name $value: $(message "$name" health)"
	elif [ "$(state_of "$name")" != "$before" ]; then
		wrong="changed: $before -> $(state_of "$name")"
	fi
	if [ -z "$wrong" ]; then
		ok "$* -> $errno"
	else
		not_ok "$* -> $errno"
		note "$wrong"
	fi
}

# refuses_table <errno's name> <text> <table line>: cannot be loaded, the kernel
# log has the text
refuses_table()
{
	local found words
	log_mark
	read -r -a words <<<"$3"
	if found=$(dm load dmr-refused "${words[@]:0:3}" "${words[*]:3}"); then
		dmsetup remove dmr-refused
		not_ok "$3 -> $1"
		note "was accepted"
	elif [ "$found" != "$1" ] || ! log_since | grep -qF "$2"; then
		not_ok "$3 -> $1"
		note "found: $found, $(log_since)"
	else
		ok "$3 -> $1"
	fi
}

# Ends the test, however it ends.
finish()
{
	local status=$? i
	set +e
	[ "$status" = 0 ] || [ "$status" = 4 ] || not_ok "ended with status $status"
	cd /
	for ((i = ${#deferred[@]} - 1; i >= 0; i--)); do
		eval "${deferred[i]}" >"$tmp/defer" 2>&1 ||
			not_ok "${deferred[i]}: $(cat "$tmp/defer")"
	done
	rm -rf "$tmp"
	[ "$status" != 4 ] || exit 4
	echo "1..$points"
	exit $((failed > 0))
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
