src/url/address.o: src/url/address.c src/url/address.h \
 /usr/include/postgresql/libpq-fe.h \
 /usr/include/postgresql/postgres_ext.h \
 /usr/include/postgresql/pg_config_ext.h src/shared/setting_table.h
