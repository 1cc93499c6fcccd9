/*-------------------------------------------------------------------------
 *
 * url/arena.c
 *	  Memory of one address: texts that live together and are wiped together.
 *
 * Floor 0; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct PcfgChunk
{
	struct PcfgChunk *next;
	size_t		size;
	max_align_t data[];
} PcfgChunk;

void *
pcfg_arena_take(PcfgArena *arena, size_t size)
{
	PcfgChunk  *chunk = calloc(1, sizeof(PcfgChunk) + size);

	if (chunk == NULL)
	{
		arena->failed = true;
		return NULL;
	}
	chunk->size = size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk->data;
}

const char *
pcfg_arena_text(PcfgArena *arena, const char *p, size_t len)
{
	char	   *copy = pcfg_arena_take(arena, len + 1);

	if (copy == NULL)
		return "";
	memcpy(copy, p, len);
	return copy;
}

const char *
pcfg_arena_print(PcfgArena *arena, const char *format,...)
{
	va_list		args;
	int			len;
	char	   *copy;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	copy = len >= 0 ? pcfg_arena_take(arena, (size_t) len + 1) : NULL;
	if (copy == NULL)
	{
		arena->failed = true;
		return "";
	}
	va_start(args, format);
	(void) vsnprintf(copy, (size_t) len + 1, format, args);
	va_end(args);
	return copy;
}

void
pcfg_arena_free(PcfgArena *arena)
{
	while (arena->chunks != NULL)
	{
		PcfgChunk  *chunk = arena->chunks;

		arena->chunks = chunk->next;
		explicit_bzero(chunk->data, chunk->size);
		free(chunk);
	}
}
