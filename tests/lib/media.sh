# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Disks with bad sectors, which may change while they are in use. After lib.sh.
# shellcheck disable=SC2154 # tmp is lib.sh's

# bad_table <disk> <what>:<from>:<length>...: a device-mapper table that is <disk> but for
# those sectors, in order. What: r fails reads, w writes, x both, f writes now and
# then; d drops writes; s500 is good, but takes 500 ms; r500 fails reads after 500 ms.
bad_table()
{
	local disk=$1 size at=0 bad what from len
	size=$(sectors "$disk")
	shift
	for bad; do
		IFS=: read -r what from len <<<"$bad"
		[ "$at" = "$from" ] || echo "$at $((from - at)) linear $disk $at"
		case $what in
		r*)	what=${what#r}
			echo "$from $len delay $bad_disk 0 ${what:-0} $disk $from 0" ;;
		w)	echo "$from $len delay $disk $from 0 $bad_disk 0 0" ;;
		f)	echo "$from $len flakey $disk $from 1 1 1 error_writes" ;;
		d)	echo "$from $len flakey $disk $from 0 1000000 1 drop_writes" ;;
		x)	echo "$from $len error" ;;
		s*)	echo "$from $len delay $disk $from ${what#s}" ;;
		esac
		at=$((from + len))
	done
	[ "$at" = "$size" ] || echo "$at $((size - at)) linear $disk $at"
}

# bad_device <name> <disk> [<what>:<from>:<length>...]: leaves it in $dev
bad_device()
{
	local name=$1
	shift
	require dm-delay
	if [ -z "${bad_disk:-}" ]; then
		dm_device no-medium '0 8388608 error'
		bad_disk=$dev
	fi
	bad_table "$@" >"$tmp/table"
	dmsetup create "$name" <"$tmp/table"
	defer remove_device "$name"
	dev=/dev/mapper/$name
}

# turn_bad <name> <disk> [<what>:<from>:<length>...]: what is bad of it from now on
turn_bad()
{
	local name=$1
	shift
	bad_table "$@" >"$tmp/table"
	new_table "$name" <"$tmp/table"
}

# field <device> <name>: of its status
field()
{
	message "$1" status | tr ' ' '\n' | sed -n "s/^$2=//p"
}

# stat <device> <name>: of its stats
stat()
{
	message "$1" stats | sed -n "s/^$2=//p"
}

# unreadable <what> <device> <sector>: a read of it fails
unreadable()
{
	check "$1" fails dd if="$2" of=/dev/null skip="$3" count=1 iflag=direct status=none
}

# settles <what> <expected> <command>...: what it prints becomes that, in a minute
settles()
{
	local what=$1 expected=$2
	shift 2
	for _ in $(seq 600); do
		[ "$("$@")" != "$expected" ] || break
		sleep 0.1
	done
	same "$what" "$("$@")" "$expected"
}

# pending <device>: its pending sectors, runs of them as <from>+<length>
pending()
{
	message "$1" list pending | awk '
		$1 == end && NR > 1 { n += $2; end += $2; next }
		NR > 1 { printf "%s+%s ", from, n }
		{ from = $1; n = $2; end = $1 + $2 }
		END { if (NR) print from "+" n }'
}

# noted <device>: what is pending has been read again, and is written down. The lock of verbs
# is held for that, but for a turn every eight blocks; for some dozens of them.
noted()
{
	local rest
	rest=$(message "$1" help set | sed -n 's/^rest .* now //p')
	for _ in {0..8}; do
		message "$1" set rest "$rest" >/dev/null
	done
}

# fio_on <name> <option>...: on $t, at depth; what is written is read back
fio_on()
{
	local name=$1
	shift
	fio --name="$name" --filename="$t" --direct=1 --ioengine=libaio --iodepth=32 \
		--randseed="$SEED" --verify=crc32c --verify_fatal=1 --end_fsync=1 "$@" \
		>"$tmp/$name" 2>&1 || { tail -n 30 "$tmp/$name"; return 1; }
}
