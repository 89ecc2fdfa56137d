# SPDX-License-Identifier: GPL-2.0-only
#
# For people; Kbuild is for the kernel. "make help" tells what there is.

build	:= build
KDIR	?= /lib/modules/$(shell uname -r)/build
K	?= 6.1
DURATION ?= 60
kernels	:= 6.1 6.12 7
test_dirs := $(addprefix tests/,lib vm demo bench debug crash/guest)

PREFIX	?= /usr/local
sbin	:= $(DESTDIR)$(PREFIX)/sbin
man	:= $(DESTDIR)$(PREFIX)/share/man

.PHONY: all
all: tool
	@test -d $(KDIR) || { echo "no headers of the running kernel in $(KDIR):" \
		"install linux-headers-$(shell uname -r), or set KDIR" >&2; exit 1; }
	@mkdir -p $(build)/module/host
	@cp -pru Kbuild $(wildcard src include) $(build)/module/host/
	$(MAKE) -C $(KDIR) M=$(abspath $(build))/module/host modules

.PHONY: tool
tool:
	@$(MAKE) -s -C src/dmremap

.PHONY: install install-tool
install-tool: tool
	install -D -m 755 $(build)/dmremap $(sbin)/dmremap
	install -D -m 644 docs/dmremap.8 $(man)/man8/dmremap.8
	install -D -m 644 docs/dm-remap-spare.5 $(man)/man5/dm-remap-spare.5

install: install-tool
	$(MAKE) -C $(KDIR) M=$(abspath $(build))/module/host modules_install
	depmod -a $$(modinfo -F vermagic $(build)/module/host/dm-remap-v4.ko | cut -d ' ' -f 1)

.PHONY: setup demo check check-quick check-debug coverage bench lint unit crash fuzz module
.PHONY: vm vm-shell
setup:
	@scripts/setup

demo: setup
	@scripts/demo

check: setup
	@scripts/check

check-quick: setup
	@scripts/check quick

check-debug:
	@scripts/check-debug

coverage:
	@scripts/check-debug coverage

bench: setup
	@scripts/bench

lint: setup
	@scripts/lint

unit: setup
	@scripts/source
	@$(MAKE) -s -C tests/unit check

crash: setup
	@tests/crash/run

fuzz: setup
	@$(MAKE) -s -C tests/fuzz check DURATION=$(DURATION)

module: setup
	@scripts/module $(K)
	@echo $(build)/module/$(K)/dm-remap-v4.ko

vm: setup
	@scripts/vm -k $(K) $(T)

vm-shell: setup
	@scripts/vm -k $(K) --shell

# What the tests run in the guest, which has no libraries of its own for them.
programs := $(notdir $(basename $(wildcard $(addsuffix /*.c,$(test_dirs)))))
.PHONY: programs
programs: $(programs:%=$(build)/tests/%)

vpath %.c $(test_dirs)
$(build)/tests/%: %.c $(wildcard tests/lib/*.h tests/crash/guest/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -g -Wall -Wextra -Itests/lib -static -pthread -o $@ $<

.PHONY: clean
clean:
	rm -rf $(build)

.PHONY: help
help:
	@echo 'make                builds the tool, and the module for the running kernel'
	@echo 'make install        installs them: PREFIX=/usr/local, DESTDIR='
	@echo 'make tool           the tool alone; make install-tool'
	@echo 'make demo           shows what it does, in a VM'
	@echo 'make check          all tests, on kernels $(kernels)'
	@echo 'make check-quick    the short ones, on 6.1'
	@echo 'make check-debug    the tests on kernels that find bugs, which it builds'
	@echo 'make coverage       what of the module they run'
	@echo 'make bench          what it costs'
	@echo 'make lint           sparse, checkpatch, shellcheck'
	@echo 'make unit           the tests that need no kernel'
	@echo 'make crash          what power cuts leave: LEVEL=quick, ci or full'
	@echo 'make fuzz DURATION=3600: the metadata under libFuzzer, so many seconds'
	@echo 'make module K=6.12  the module for a kernel under test'
	@echo 'make vm K=7 T=smoke one VM test, or all'
	@echo 'make vm-shell K=7   a shell in the VM, the module loaded'
	@echo 'make clean          removes build/, with all that was downloaded'
