# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the tests of dmremap share: images in files, no root. After that of the others.
. "$(dirname "${BASH_SOURCE[0]}")/../lib/lib.sh"

build=$(cd "$lib/../../${BUILD:-build}" && pwd)
export PATH=$build/dmremap-tests:$PATH
dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$tmp"

# exits <status> <what> <command>...: its output is in $out, errors too
exits()
{
	local status=$1 what=$2 found=0
	shift 2
	out=$("$@" 2>&1) || found=$?
	if [ "$found" = "$status" ]; then
		ok "$what"
	else
		not_ok "$what"
		note "$* exits $found, not $status: $out"
	fi
}

# edit <image> <command>...: see generate.c
edit()
{
	local image=$1
	shift
	[ -e "$image" ] || : >"$image"
	printf '%s\n' "$@" | generate "$image"
}

# spare_image <image>: one with a log of six blocks, behind both of whose ends are blocks
# of before; <image>.older is what it was when the same half was begun the last time.
spare_image()
{
	edit "$1" 'size 8192' 'format 100000' 'map 10 600 8' 'map 30 610 1' commit half \
		'map 50 620 4' commit 'map 60 625 4' commit 'map 70 630 2' commit \
		'map 80 640 2' commit 'map 90 650 2' commit 'map 95 660 2' commit
	cp "$1" "$1.older"
	edit "$1" half 'unmap 80 2' commit half 'map 1000 700 8' 'map 1010 710 8' commit \
		'map 2000 720 16' commit 'map 3000 740 32' commit 'map 4000 780 1' commit \
		'map 5000 800 7' commit
}

# shellcheck disable=SC2034
# What each block of its log maps, by sequence; the first is all that was before.
rows_of=('' '^map 10[01]0 ' '^map 2000 ' '^map 3000 ' '^map 4000 ' '^map 5000 ')

# map <image>: its rows
map()
{
	dmremap dump "$1" | grep '^map'
}

# sector <what> <copy> [<sequence>]: of a block, as "blocks" of generate has left in where
sector()
{
	awk -v what="$*" 'index($0, what " ") == 1 { print $NF }' where
}

# damage <kind> <image> <sector of the block> <another sector>
damage()
{
	case $1 in
	flipped)	edit "$2" "flip $3 $((RANDOM % 32768))" ;;
	zeroed)		edit "$2" "zero $3" ;;
	swapped)	edit "$2" "move $3 $4" ;;
	older)		edit "$2" "copy $3 good.older" ;;
	esac
}
# shellcheck disable=SC2034
kinds=$(amount 'flipped' 'flipped zeroed swapped older' 'flipped zeroed swapped older')
