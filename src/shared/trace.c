/*-------------------------------------------------------------------------
 *
 * shared/trace.c
 *	  In a test build: the last moves of each slot, to be checked afterwards.
 *
 * Floor 1; worker and backends.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "shared/trace.h"

#ifdef PCFG_FAILPOINTS

#include <stdio.h>

/* As many are kept of each slot. */
#define KEPT	8192

typedef struct Moved
{
	uint64		from;
	uint64		to;
	uint32		by;
	int			mover;
} Moved;

typedef struct Ring
{
	pg_atomic_uint64 n;			/* ever */
	Moved		moves[KEPT];
} Ring;

static Ring *rings = NULL;
static int	nrings = 0;

Size
pcfg_trace_size(int nslots)
{
	return mul_size(nslots, sizeof(Ring));
}

void
pcfg_trace_place(void *space, int nslots)
{
	rings = space;
	nrings = nslots;
}

/* A slot that is empty may be taken by another pool at once, hence the atomic. */
void
pcfg_trace_note(int slot, uint64 from, uint64 to, uint32 by, int mover)
{
	Moved	   *moved = &rings[slot].moves[pg_atomic_fetch_add_u64(&rings[slot].n, 1) % KEPT];

	moved->from = from;
	moved->to = to;
	moved->by = by;
	moved->mover = mover;
}

void
pcfg_trace_write(void)
{
	FILE	   *file = fopen("slot_moves", "w");
	int			i;

	for (i = 0; file != NULL && i < nrings; i++)
	{
		uint64		n = pg_atomic_read_u64(&rings[i].n);
		uint64		k;

		for (k = n > KEPT ? n - KEPT : 0; k < n; k++)
		{
			const Moved *moved = &rings[i].moves[k % KEPT];

			fprintf(file, "%d " UINT64_FORMAT " " UINT64_FORMAT " %u %d\n",
					i, moved->from, moved->to, moved->by, moved->mover);
		}
	}
	if (file != NULL)
		fclose(file);
}

#endif
