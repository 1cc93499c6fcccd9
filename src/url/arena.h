/*-------------------------------------------------------------------------
 *
 * url/arena.h
 *	  Memory of one address: texts that live together and are wiped together.
 *
 * Floor 0; backends; no server header, no ereport.
 *
 * Nobody here checks for the end of memory on each step: a text that cannot
 * be kept is "", and "failed" says at the end that nothing holds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_ARENA_H
#define PCFG_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct PcfgArena
{
	struct PcfgChunk *chunks;
	bool		failed;			/* memory ran out at some point */
} PcfgArena;

/* "size" bytes of zeros, or NULL (and failed). */
extern void *pcfg_arena_take(PcfgArena *arena, size_t size);

/* A copy of len bytes, NUL-terminated.  Never NULL. */
extern const char *pcfg_arena_text(PcfgArena *arena, const char *p, size_t len);

/* As printf.  Never NULL. */
extern const char *pcfg_arena_print(PcfgArena *arena, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* Overwrites and frees all of it. */
extern void pcfg_arena_free(PcfgArena *arena);

#endif							/* PCFG_ARENA_H */
