# pool_config: make, make install, make installcheck; make test, make soak,
# make faults, make mutants, make demo, make bench, make lint need no preparation.

MODULE_big = pool_config
EXTENSION = pool_config
DATA = src/pool_config--1.0.sql
DOCS = src/pool_config.prometheus.yaml
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
EXTRA_CLEAN = $(patsubst %.c,%.d,$(wildcard src/*.c src/*/*.c))

# Symbols are hidden but for those that the server looks up by name.
PG_CPPFLAGS = -Isrc -I$(shell $(PG_CONFIG) --includedir) -MMD \
	-DPGDLLEXPORT='__attribute__((visibility("default")))' \
	$(if $(FAILPOINTS),-DPCFG_FAILPOINTS)
PG_CFLAGS = -Wall -Wextra $(if $(WERROR),-Werror) -fvisibility=hidden \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
comma = ,
SHLIB_LINK = -lpq -lssl -lcares $(if $(FAILPOINTS),$(foreach f,malloc calloc,-Wl$(comma)--wrap=$(f)))

# Nothing of ours is worth inlining into a query plan.
override with_llvm = no

PG_CONFIG ?= pg_config

# These look after the machine's packages themselves.
OWN_GOALS = test soak faults mutants demo bench lint
ifeq ($(filter $(OWN_GOALS),$(MAKECMDGOALS)),)

ifeq ($(shell $(PG_CONFIG) --version 2>/dev/null),)
$(error pg_config was not found: install the server's headers (Debian: postgresql-server-dev-15 or later) or name it with PG_CONFIG=...)
endif
ifeq ($(filter 15 16 17 18,$(firstword $(subst ., ,$(word 2,$(shell $(PG_CONFIG) --version))))),)
$(error pool_config needs PostgreSQL 15 to 18; $(PG_CONFIG) is of $(shell $(PG_CONFIG) --version))
endif
ifeq ($(wildcard $(shell $(PG_CONFIG) --includedir)/libpq-fe.h),)
$(error libpq-fe.h was not found: install libpq's headers (Debian: libpq-dev))
endif

ifneq ($(shell printf '\043include <openssl/ssl.h>\n\043include <ares.h>\n' | $(CC) -E - >/dev/null 2>&1 && echo found),found)
$(error openssl/ssl.h or ares.h was not found: install the headers of OpenSSL and c-ares (Debian: libssl-dev libc-ares-dev))
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
-include $(EXTRA_CLEAN)

else

.PHONY: $(OWN_GOALS)

test:
	@bash test/run $(T)

# SECONDS=600 make soak: as in make test, for as long as you like
soak:
	@SOAK_SECONDS=$(or $(SECONDS),60) bash test/run test/t/040_soak.pl

# each fault in each phase of a call; TABLE=file keeps the table of what came of it
faults:
	@PCFG_FAULTS=all bash -o pipefail -c 'bash test/run test/t/070_faults.pl | tee >(sed -n "s/^# |/|/p" >"$$0")' '$(or $(TABLE),/dev/null)'

mutants:
	@bash test/mutants

demo:
	@bash test/demo

bench:
	@bash test/bench/run

lint:
	@bash test/lint

endif
