/*-------------------------------------------------------------------------
 *
 * backend/savepoints.c
 *	  Savepoints of a remote transaction that mirror local subtransactions.
 *
 * Floor 6; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/savepoints.h"

/*
 * Inner levels have ended before: of the savepoints that stand, those from
 * "first" on are of this level.
 */
void
pcfg_savepoints_end(PcfgSavepoints *s, int level, bool committed)
{
	int			first = s->n;

	while (first > 0 && s->levels[first - 1] >= level)
		first--;
	if (first == s->n)
		return;					/* it ran nothing */
	s->n = first;
	if (!committed)
		s->rollback = first + 1;
	else if (level > 2 && (first == 0 || s->levels[first - 1] < level - 1))
		s->levels[s->n++] = level - 1;	/* the outer level goes on with it */
}

List *
pcfg_savepoints_rollback(const PcfgSavepoints *s)
{
	return s->rollback == 0 ? NIL :
		list_make1(psprintf("ROLLBACK TO SAVEPOINT pool_config_%d", s->rollback));
}

/* Whether a statement of that level has to set one. */
static bool
is_wanted(const PcfgSavepoints *s, int level)
{
	return level > 1 && (s->n == 0 || s->levels[s->n - 1] < level);
}

List *
pcfg_savepoints_prelude(PcfgSavepoints *s, int level)
{
	List	   *prelude = pcfg_savepoints_rollback(s);

	if (s->n < s->nremote)
		prelude = lappend(prelude, psprintf("RELEASE SAVEPOINT pool_config_%d", s->n + 1));
	if (!is_wanted(s, level))
		return prelude;
	if (s->n == s->size)
	{
		int			size = Max(2 * s->size, 8);

		s->levels = s->levels == NULL ?
			MemoryContextAlloc(s->context, size * sizeof(int)) :
			repalloc(s->levels, size * sizeof(int));
		s->size = size;
	}
	return lappend(prelude, psprintf("SAVEPOINT pool_config_%d", s->n + 1));
}

void
pcfg_savepoints_done(PcfgSavepoints *s, int level)
{
	if (is_wanted(s, level))
		s->levels[s->n++] = level;
	s->nremote = s->n;
	s->rollback = 0;
}
