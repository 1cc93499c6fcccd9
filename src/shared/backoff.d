src/shared/backoff.o: src/shared/backoff.c src/shared/backoff.h \
 src/shared/clock.h
