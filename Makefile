# Builds, links, tests and installs saevt.
#
#   make                         release build; build/lib and build/sbin are usable in place
#   make demo                    installs into build/demo-root and runs examples/demo.sh
#   make test                    everything that can be checked on this machine
#   make test-engines            clusters on real engines; ENGINES, SUITES, WORDS choose some
#   make bench-growth            what the product costs, and that it does not grow; BENCH names lines
#   make bench-budget            counts instructions anew, for benches/budget.json
#   make fuzz                    hostile input for a few minutes; FUZZ_RUNS, FUZZ_SEEDS, FUZZ_SEED
#   make bench                   measures beside peers; BENCH_RUNS, BENCH_SECONDS, BENCH_ONLY, ...
#   make bench-cluster           three nodes beside bare corosync; BENCH_PARTS, BENCH_CASES, ...
#   make deb                     Debian packages in build/deb; needs debhelper
#   make install PREFIX=/usr     also DESTDIR, LIBDIR, BINDIR, PYTHONDIR, ...; never touches /etc
#
# Packagers: give the same PREFIX to `make` and to `make install`. It is built into the library as
# the last place to look for saevtd when it is not beside the library.

PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR ?= $(PREFIX)/lib
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/saevt
# Where Debian's Python looks, for a PREFIX of /usr; elsewhere PYTHONPATH has to name it.
PYTHONDIR ?= $(PREFIX)/lib/python3/dist-packages
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
# Pacemaker looks below /usr/lib/ocf, whatever the prefix.
OCFDIR ?= $(PREFIX)/lib/ocf/resource.d
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
BASH_COMPLETIONS ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
FISH_COMPLETIONS ?= $(PREFIX)/share/fish/vendor_completions.d
# The prefix that is built in; differs from PREFIX only for trial installations such as the demo's.
SAEVT_PREFIX ?= $(PREFIX)

CARGO ?= cargo
CC ?= cc
INSTALL ?= install
CARGO_TARGET_DIR ?= target

VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
LIBRARY := libSaEvt.so.3.$(VERSION)
# libSaEvt.so for the linker; 1 is OpenSAF's soname, 2 and 3 are those of openais.
LIBRARY_LINKS := libSaEvt.so libSaEvt.so.1 libSaEvt.so.2 libSaEvt.so.3
HEADERS := saAis.h saEvt.h
PC_FILES := libSaEvt.pc opensaf-evt.pc
MAN_PAGES := $(wildcard packaging/man/*.[1-8])
EXAMPLE_CONFIGS := $(wildcard packaging/*.conf)
EXAMPLES := $(wildcard examples/*.c examples/*.h examples/*.rs examples/*.sh)
DOCUMENTS := README.md LICENSE
GUIDES := $(wildcard docs/*.md)

ARCHIVE := $(CARGO_TARGET_DIR)/release/libSaEvt.a
RUST_SOURCES := $(shell find src -name '*.rs') Cargo.toml Cargo.lock $(wildcard build.rs)

export CC CARGO_TARGET_DIR SAEVT_PREFIX

.PHONY: all demo test test-engines fuzz bench bench-growth bench-cluster bench-budget install \
    uninstall deb version clean
.DELETE_ON_ERROR:

all: build/lib/libSaEvt.so build/sbin/saevtd build/bin/saevt

# Remembers the prefix of the last build, so that another one builds again.
ifneq ($(SAEVT_PREFIX),$(shell cat build/prefix 2>/dev/null))
.PHONY: build/prefix
endif
build/prefix:
	@mkdir -p build
	@printf '%s\n' '$(SAEVT_PREFIX)' > $@

# Root who installs what somebody else has built needs no cargo: these are plain files.
build/cargo.stamp: $(RUST_SOURCES) build/prefix
	$(CARGO) build --release --locked --lib --bins
	@touch $@

build/lib/$(LIBRARY): build/cargo.stamp packaging/libSaEvt.map scripts/link-library.sh
	@mkdir -p build/lib
	scripts/link-library.sh $(ARCHIVE) $@

build/lib/libSaEvt.so: build/lib/$(LIBRARY)
	for link in $(LIBRARY_LINKS); do ln -sf $(LIBRARY) build/lib/$$link || exit 1; done
	@touch $@

build/sbin/saevtd: build/cargo.stamp
	@mkdir -p build/sbin
	$(INSTALL) -m 755 $(CARGO_TARGET_DIR)/release/saevtd $@

build/bin/saevt: build/cargo.stamp
	@mkdir -p build/bin
	$(INSTALL) -m 755 $(CARGO_TARGET_DIR)/release/saevt $@

# DESTDIR is where a package is collected; the paths inside the files never contain it.
install: all
	$(INSTALL) -d $(addprefix $(DESTDIR),$(LIBDIR) $(BINDIR) $(SBINDIR) $(INCLUDEDIR)/openais \
	    $(PKGCONFIGDIR) $(PYTHONDIR) $(UNITDIR) $(SYSUSERSDIR) $(OCFDIR)/saevt \
	    $(DOCDIR)/docs $(DOCDIR)/examples \
	    $(BASH_COMPLETIONS) $(ZSH_COMPLETIONS) $(FISH_COMPLETIONS))
	$(INSTALL) -m 755 build/lib/$(LIBRARY) $(DESTDIR)$(LIBDIR)/$(LIBRARY)
	for link in $(LIBRARY_LINKS); do \
	    ln -sf $(LIBRARY) $(DESTDIR)$(LIBDIR)/$$link || exit 1; done
	$(INSTALL) -m 755 build/sbin/saevtd $(DESTDIR)$(SBINDIR)/saevtd
	$(INSTALL) -m 755 build/bin/saevt $(DESTDIR)$(BINDIR)/saevt
	$(INSTALL) -m 644 packaging/completions/saevt.bash $(DESTDIR)$(BASH_COMPLETIONS)/saevt
	$(INSTALL) -m 644 packaging/completions/_saevt $(DESTDIR)$(ZSH_COMPLETIONS)/_saevt
	$(INSTALL) -m 644 packaging/completions/saevt.fish $(DESTDIR)$(FISH_COMPLETIONS)/saevt.fish
	$(INSTALL) -m 644 $(addprefix include/,$(HEADERS)) $(DESTDIR)$(INCLUDEDIR)
	# Programs written for openais may include <openais/saEvt.h>.
	for header in $(HEADERS); do \
	    ln -sf ../$$header $(DESTDIR)$(INCLUDEDIR)/openais/$$header || exit 1; done
	$(INSTALL) -m 644 bindings/python/saevt.py $(DESTDIR)$(PYTHONDIR)
	# Nothing starts by these alone: an administrator enables saevtd.socket, or a package does.
	sed 's|@SBINDIR@|$(SBINDIR)|' packaging/systemd/saevtd.service.in > build/saevtd.service
	$(INSTALL) -m 644 build/saevtd.service packaging/systemd/saevtd.socket $(DESTDIR)$(UNITDIR)
	$(INSTALL) -m 644 packaging/systemd/saevt.sysusers $(DESTDIR)$(SYSUSERSDIR)/saevt.conf
	sed -e 's|@SBINDIR@|$(SBINDIR)|' -e 's|@BINDIR@|$(BINDIR)|' packaging/ocf/saevtd.in \
	    > build/saevtd.ocf
	$(INSTALL) -m 755 build/saevtd.ocf $(DESTDIR)$(OCFDIR)/saevt/saevtd
	for file in $(PC_FILES); do \
	    sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	        -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	        packaging/$$file.in > build/$$file && \
	    $(INSTALL) -m 644 build/$$file $(DESTDIR)$(PKGCONFIGDIR)/$$file || exit 1; done
	for page in $(MAN_PAGES); do \
	    section=$(DESTDIR)$(MANDIR)/man$${page##*.}; \
	    $(INSTALL) -d $$section && $(INSTALL) -m 644 $$page $$section || exit 1; done
	for file in $(DOCUMENTS) $(EXAMPLE_CONFIGS); do \
	    $(INSTALL) -m 644 $$file $(DESTDIR)$(DOCDIR) || exit 1; done
	$(INSTALL) -m 644 $(GUIDES) $(DESTDIR)$(DOCDIR)/docs
	for file in $(EXAMPLES); do \
	    $(INSTALL) -m 644 $$file $(DESTDIR)$(DOCDIR)/examples || exit 1; done

uninstall:
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,$(LIBRARY) $(LIBRARY_LINKS))
	rm -f $(DESTDIR)$(SBINDIR)/saevtd $(DESTDIR)$(BINDIR)/saevt $(DESTDIR)$(PYTHONDIR)/saevt.py
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,saevtd.service saevtd.socket)
	rm -f $(DESTDIR)$(SYSUSERSDIR)/saevt.conf $(DESTDIR)$(OCFDIR)/saevt/saevtd
	rm -f $(DESTDIR)$(BASH_COMPLETIONS)/saevt $(DESTDIR)$(ZSH_COMPLETIONS)/_saevt \
	    $(DESTDIR)$(FISH_COMPLETIONS)/saevt.fish
	rm -f $(addprefix $(DESTDIR)$(INCLUDEDIR)/,$(HEADERS) $(addprefix openais/,$(HEADERS)))
	rm -f $(addprefix $(DESTDIR)$(PKGCONFIGDIR)/,$(PC_FILES))
	for page in $(MAN_PAGES); do \
	    rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done
	rm -rf $(DESTDIR)$(DOCDIR)
	-rmdir $(DESTDIR)$(INCLUDEDIR)/openais $(DESTDIR)$(OCFDIR)/saevt

# Collected and built in build/deb; scripts/build-packages.sh says how.
deb:
	scripts/build-packages.sh

demo: all
	rm -rf build/demo-root
	$(MAKE) --no-print-directory install DESTDIR= PREFIX=$(CURDIR)/build/demo-root \
	    SAEVT_PREFIX=$(SAEVT_PREFIX) > build/demo-install.log
	examples/demo.sh build/demo-root

test:
	scripts/test.sh

# tests/engines/run.sh says what it makes and removes. Needs root, installs the engines.
ENGINES ?=
test-engines: all
	tests/engines/run.sh $(ENGINES)

# The same targets as in `make test`, with more mutations of tests/corpus from another beginning.
FUZZ_RUNS ?= 300000
FUZZ_SEEDS ?= 20000
FUZZ_SEED ?= $(shell date +%s)
fuzz:
	@echo 'FUZZ_SEED=$(FUZZ_SEED)'
	SAEVT_FUZZ_RUNS=$(FUZZ_RUNS) SAEVT_FUZZ_SEEDS=$(FUZZ_SEEDS) SAEVT_FUZZ_SEED=$(FUZZ_SEED) \
	    $(CARGO) test --locked --test fuzz_replay --test hostile_node

# benches/README.md says what is measured. Installs what the peers need if this is root.
bench: all
	benches/contest/run --install
	@$(MAKE) --no-print-directory bench-growth

# Lines and options of benches/growth/run.py; nothing: all lines.
BENCH ?=
bench-growth: all
	benches/growth/run.py $(BENCH)

# benches/cluster/README.md says what is measured. Takes root, and installs corosync.
bench-cluster: all
	benches/cluster/run --install

# What a test stage allows, as counted now: commit it with the change that costs or saves, say why.
bench-budget: all
	benches/growth/instructions.py --renew

# For scripts.
version:
	@echo $(VERSION)

clean:
	rm -rf build
	$(CARGO) clean
