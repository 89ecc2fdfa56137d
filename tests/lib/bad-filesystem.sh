# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A filesystem in use whose disk takes fewer writes every minute. After lib.sh and media.sh;
# the test says how to make and check it:
#
#	make_it=(mkfs.ext4 -q) check_it=(e2fsck -fn)
#	bad_filesystem <type> <size of main> <size of spare>
# shellcheck disable=SC2154 # what lib.sh and the test set

# One run of bad sectors in each of these.
slot=1024

# grow_bad: more of the disk is bad, in other slots than before
grow_bad()
{
	local n=$1 i from
	for ((i = 0; i < n; i++)); do
		from=$((RANDOM * 32768 + RANDOM))
		from=$((from % slots))
		[ -n "${bad[from]:-}" ] && continue
		bad[from]="w:$((from * slot + RANDOM % 64 * 8)):$((8 + RANDOM % 16 * 8))"
	done
	# In order of their indices.
	turn_bad m "$disk" "${bad[@]}"
}

# write_files <round>: new ones, and others anew
write_files()
{
	local i
	for i in 1 2 3 4; do
		head -c $((RANDOM * 50 + 1)) /dev/urandom >"$mnt/new$1.$i" || return 1
		head -c $((RANDOM * 20 + 1)) /dev/urandom >"$mnt/again.$i" || return 1
	done
	sync -f "$mnt" || return 1
	(cd "$mnt" && md5sum -- *.*) >"$tmp/sums"
}

read_files()
{
	echo 3 >/proc/sys/vm/drop_caches
	! (cd "$mnt" && md5sum -c "$tmp/sums" 2>&1) | grep -v ': OK$'
}

# free_run: the longest run of main that is not remapped, and its length, in whole pages
free_run()
{
	message t query 0 "$(sectors "$t")" | awk '
		$3 == "main" {
			from = int(($1 + 7) / 8) * 8
			n = int(($1 + $2 - from) / 8) * 8
			if (n > most) { most = n; at = from }
		}
		END { print at, most }'
}

# spend_spare: remaps of what is free on main until nothing is free on the spare
spend_spare()
{
	local free from n run

	while free=$(field t spare_free) && free=${free%%/*} && [ "$free" -gt 0 ]; do
		run=$(free_run)
		from=${run% *} n=${run#* }
		message t add_remap "$from" auto $((n < free ? n : free)) || return 1
	done
}

unmount()
{
	! mountpoint -q "$mnt" || umount "$mnt"
}

bad_filesystem()
{
	local type=$1 rounds round wrote=0 read=0
	# The tool of that name does not tell whether the kernel has it.
	modprobe -q "$type" || skip "no $type"
	rounds=$(amount 4 8 12)
	loop_device "$2"
	disk=$dev
	slots=$(($(sectors "$disk") / slot))
	loop_device "$3"
	spare=$dev
	bad=()
	bad_device m "$disk"
	remap_device t /dev/mapper/m "$spare"
	t=$dev
	message t set breaker 100000 >/dev/null
	mnt=$tmp/mnt
	mkdir "$mnt"
	check "$type is made" "${make_it[@]}" "$t"
	mount -t "$type" "$t" "$mnt"
	defer unmount
	note "SEED=$SEED"
	RANDOM=$SEED

	for ((round = 0; round < rounds; round++)); do
		grow_bad 60
		write_files "$round" || wrote=1
		read_files || read=1
	done
	same 'every write succeeds' "$wrote" 0
	same '... and is read back' "$read" 0
	like 'though many were not taken' "$(message t status)" ' remaps=[1-9].* write_errors=0 auto=on '
	note "$(message t status)"
	umount "$mnt"
	check 'the filesystem is clean' "${check_it[@]}" "$t"
	dmsetup remove t
	remap_device t /dev/mapper/m "$spare"
	message t set breaker 100000 >/dev/null
	mount -t "$type" "$t" "$mnt"
	check 'and all is there after a restart' read_files

	umount "$mnt"

	# No room is left: a write that main does not take fails, and nothing else does.
	check 'the rest of the spare is spent' spend_spare
	like '... which the state tells' "$(message t status)" '^full .* spare_free=0/'
	from=$(free_run)
	from=${from% *}
	turn_bad m "$disk" "w:$from:8"
	check 'a write that no place takes fails' fails dd if=/dev/zero of="$t" bs=4096 count=1 \
		seek=$((from / 8)) oflag=direct conv=notrunc
	like '... and is counted' "$(message t status)" '^full .* write_errors=[1-9]'
	turn_bad m "$disk"
	check 'the filesystem is clean' "${check_it[@]}" "$t"
	mount -t "$type" "$t" "$mnt"
	check 'and goes on' write_files last
	check '... as ever' read_files
	umount "$mnt"
}
