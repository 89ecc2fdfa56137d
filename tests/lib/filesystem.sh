# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2154 # tmp, dev: of lib.sh
# shellcheck shell=bash
# A file system on a remapped device, with remaps coming and going under it.
#
# filesystem <size in MiB> <mount type> <mkfs command> <check command>: the commands
# get the device as their last argument.

# A tree of files of many sizes, and the sums to know it by.
make_tree()
{
	local i
	mkdir -p "$1"
	cp -a /bin/. "$1"
	dd if=/dev/urandom of="$tmp/noise" bs=1M count=4 2>/dev/null
	for i in $(seq 300); do
		mkdir -p "$1/$((i % 20))/deep"
		dd if="$tmp/noise" of="$1/$((i % 20))/deep/$i" bs=512 \
			skip=$((RANDOM % 4000)) count=$((1 << RANDOM % 12)) 2>/dev/null
	done
	(cd "$1" && find . -type f -exec md5sum {} + >"$tmp/sums")
}

# Remaps everywhere, and some away again, until told to stop.
remap_everywhere()
{
	local i words reply
	while [ ! -e "$tmp/stop" ]; do
		words=''
		for i in 1 2 3; do
			words="$words $(((RANDOM << 15 | RANDOM) % ($1 / 8 - 256) * 8)) auto $((8 << RANDOM % 8))"
		done
		# shellcheck disable=SC2086 # several words
		reply=$(message fs add_remaps $words) || echo "add_remaps $reply"
		# shellcheck disable=SC2086 # several words
		[ $((RANDOM % 3)) != 0 ] || reply=$(message fs remove_remap \
			"$(((RANDOM << 15 | RANDOM) % ($1 / 8 - 512) * 8))" 4096) ||
			echo "remove_remap $reply"
	done >"$tmp/changes" 2>&1
}

same_tree()
{
	(cd "$tmp/mnt/tree" && md5sum -c "$tmp/sums" | grep -v ': OK$') >"$tmp/wrong" && return 1
	[ "$(cd "$tmp/mnt/tree" && find . -type f | wc -l)" = "$(wc -l <"$tmp/sums")" ]
}

# with_mounted <type> <device> <command>...
with_mounted()
{
	local status=0
	mount -t "$1" "$2" "$tmp/mnt"
	"${@:3}" || status=$?
	umount "$tmp/mnt"
	return "$status"
}

filesystem()
{
	local size=$1 type=$2 mkfs=$3 fsck=$4 main changer
	RANDOM=$((SEED % 32768))
	require "$type" "${mkfs%% *}" "${fsck%% *}"
	mkdir "$tmp/mnt"
	make_tree "$tmp/tree"
	note "$(wc -l <"$tmp/sums") files of $(du -sm "$tmp/tree" | cut -f 1) MiB, SEED=$SEED"

	loop_device "${size}M"
	main=$dev
	loop_device "$((size * 2 / 3))M"
	remap_device fs "$main" "$dev"
	# shellcheck disable=SC2086 # several words
	check "a $type file system" $mkfs /dev/mapper/fs
	mount -t "$type" /dev/mapper/fs "$tmp/mnt"
	defer umount "$tmp/mnt"

	remap_everywhere "$(sectors "$main")" &
	changer=$!
	cp -a "$tmp/tree" "$tmp/mnt/first"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	# Read through remaps and written through others; the first copy goes.
	cp -a "$tmp/mnt/first" "$tmp/mnt/tree"
	rm -rf "$tmp/mnt/first"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	check 'the tree is the same while remaps change' same_tree
	touch "$tmp/stop"
	wait "$changer"
	same 'no change was refused but for what is remapped already' \
		"$(grep -vcE 'add_remaps (EEXIST|ENOSPC)|remove_remap ENOENT' "$tmp/changes" || :)" 0
	note "$(dmsetup status fs)"
	like 'there are many remaps' "$(dmsetup status fs)" ' remaps=[0-9]{2,} '

	umount "$tmp/mnt"
	unset 'deferred[-1]'
	# shellcheck disable=SC2086 # several words
	check 'the file system is clean' $fsck /dev/mapper/fs
	check 'the tree is the same after mounting again' \
		with_mounted "$type" /dev/mapper/fs same_tree

	check 'all remaps are removed' message fs clear_all
	# shellcheck disable=SC2086 # several words
	check 'the file system is clean without them' $fsck /dev/mapper/fs
	dmsetup remove --retry fs
	unset 'deferred[-1]'
	# shellcheck disable=SC2086 # several words
	check 'the file system is clean on the main device alone' $fsck "$main"
	check 'the tree is the same on the main device alone' \
		with_mounted "$type" "$main" same_tree
}
