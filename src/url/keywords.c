/*-------------------------------------------------------------------------
 *
 * url/keywords.c
 *	  What an address comes to: libpq's keywords and settings of the pool.
 *
 * Floor 3; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#include "url/keywords.h"

#include <stdlib.h>
#include <string.h>

static PcfgKeyword *
find(const PcfgAddress *address, const char *name)
{
	int			i;

	for (i = 0; i < address->nkeywords; i++)
	{
		if (strcmp(address->keywords[i].name, name) == 0)
			return (PcfgKeyword *) &address->keywords[i];
	}
	return NULL;
}

const char *
pcfg_address_value(const PcfgAddress *address, const char *name)
{
	const PcfgKeyword *k = find(address, name);

	return k != NULL ? k->value : NULL;
}

void
pcfg_address_put(PcfgAddress *address, const char *name, const char *value, PcfgOrigin origin)
{
	PcfgKeyword *k = find(address, name);

	if (k != NULL)
	{
		k->value = value;
		return;
	}
	if (address->nkeywords == PCFG_MAX_KEYWORDS)
	{
		pcfg_finding_add(&address->findings, PCFG_E_SYNTAX, NULL, "the address has too many parameters");
		return;
	}
	k = &address->keywords[address->nkeywords++];
	k->name = name;
	k->value = value;
	k->origin = origin;
}

void
pcfg_address_drop(PcfgAddress *address, const char *name)
{
	PcfgKeyword *k = find(address, name);

	if (k == NULL)
		return;
	address->nkeywords--;
	memmove(k, k + 1, (size_t) (&address->keywords[address->nkeywords] - k) * sizeof(*k));
}

static int
rank(const char *name)
{
	static const char *const first[] = {"host", "hostaddr", "port", "user", "password", "dbname"};
	int			n = sizeof(first) / sizeof(first[0]);
	int			i;

	for (i = 0; i < n && strcmp(first[i], name) != 0; i++)
		;
	return i;
}

static int
compare(const void *a, const void *b)
{
	const PcfgKeyword *ka = a;
	const PcfgKeyword *kb = b;
	int			by_rank = rank(ka->name) - rank(kb->name);

	return by_rank != 0 ? by_rank : strcmp(ka->name, kb->name);
}

void
pcfg_address_sort(PcfgAddress *address)
{
	qsort(address->keywords, (size_t) address->nkeywords, sizeof(PcfgKeyword), compare);
}

void
pcfg_address_free(PcfgAddress *address)
{
	pcfg_arena_free(&address->findings.arena);
	memset(address, 0, sizeof(*address));
}
