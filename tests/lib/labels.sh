# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sectors that can be read by eye: each says which one it is. After lib.sh.

# label <device> <name>: sector 7 then holds "<name> 7" and so on
label()
{
	awk -v n="$(sectors "$1")" -v name="$2" \
		'BEGIN { for (i = 0; i < n; i++) printf "%-511s\n", name " " i }' |
	dd of="$1" bs=64K iflag=fullblock oflag=direct conv=notrunc,fsync status=none
}

# sector <device> <number>: what it holds, or the error
sector()
{
	local block
	block=$(blockdev --getss "$1")
	dd if="$1" bs="$block" skip=$((512 * $2 / block)) count=1 iflag=direct \
		status=none 2>&1 |
	dd bs=512 skip=$(($2 % (block / 512))) count=1 status=none |
	awk '{ sub(/ *$/, ""); print }'
}

# put <device> <sector> <text>: writes one sector
put()
{
	printf '%-511s\n' "$3" |
	dd of="$1" bs=512 seek="$2" oflag=direct conv=notrunc status=none
}

# holds <what> <device> <sector> <text>
holds()
{
	same "$1" "$(sector "$2" "$3")" "$4"
}

# unchanged <what> <device> <name>: every sector is as label has left it
unchanged()
{
	local wrong
	wrong=$(dd if="$2" bs=1M iflag=direct status=none |
		awk -v name="$3" '{ sub(/ *$/, "") }
			$0 != name " " NR - 1 && n++ < 3 { print NR - 1 ": " $0 }
			END { if (NR == 0) print "nothing" }')
	same "$1" "$wrong" ''
}
