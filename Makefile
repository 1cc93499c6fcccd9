MODULE_big = pool_config
EXTENSION = pool_config
DATA = src/pool_config--1.0.sql
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
PG_CPPFLAGS = -Isrc -I$(shell $(PG_CONFIG) --includedir) -DPGDLLEXPORT='__attribute__((visibility("default")))'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -fvisibility=hidden
SHLIB_LINK = -lpq -lcares -lpthread
override with_llvm = no
PG_CONFIG = pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
