/*-------------------------------------------------------------------------
 *
 * backend/statement_cache.c
 *	  Statements that are kept prepared at the remote while this session
 *	  stays the only user of a connection.
 *
 * Floor 8; backends; no network.
 *
 * The first run of a text is remembered by its hash only, so that statements
 * with their values in the text cost nothing; the second one is prepared.
 *
 * Names carry 64 random bits of this process and a number that is never used
 * twice.  Should a pooler move us to another server process without our
 * knowing, a name is not known there; it is never somebody else's statement.
 *
 * The remote revises a prepared statement when what it uses changes, but does
 * not notice a new object that comes before an old one of the same name.  So
 * nothing is kept beyond a second, nor beyond a statement of our own that may
 * make such an object.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/statement_cache.h"
#include "common/hashfn.h"
#include "lib/ilist.h"

#define STATEMENTS_MAX	64		/* kept */
#define BYTES_MAX		((size_t) 256 * 1024)	/* of their texts and columns */
#define STATEMENT_MAX	((size_t) 32 * 1024)	/* a longer one is not kept */
#define SEEN_MAX		64		/* hashes of statements that ran once */
#define CLOSED_MAX		128		/* statements to be closed */
#define AGE_MAX			PCFG_SECOND
#define UNKNOWN_MAX		3		/* so often the remote may not know one */

typedef struct Entry
{
	dlist_node	node;
	uint64		hash;
	uint64		number;
	PcfgTime	prepared_at;
	size_t		bytes;
	bool		has_columns;
	size_t		columns_len;
	char	   *columns;		/* behind the text */
	char		sql[FLEXIBLE_ARRAY_MEMBER];
} Entry;

struct PcfgStatementCache
{
	MemoryContext context;
	bool		busy;			/* a call uses it; inner ones go without */

	/* the connection, and the lease that used it last */
	int			slot;
	uint64		use;

	dlist_head	entries;		/* most recently used first */
	int			nentries;
	size_t		bytes;
	uint64		seen[SEEN_MAX];
	int			next_seen;
	uint64		closed[CLOSED_MAX]; /* numbers of statements to be closed */
	int			nclosed;
	int			unknown;		/* how often the remote did not know one */
};

static uint64 name_salt;
static uint64 last_number = 0;

/* ----------------------------------------------------------------
 * names
 * ----------------------------------------------------------------
 */

/* False when there is no randomness to be had. */
static bool
draw_salt(void)
{
	static bool drawn = false;

	if (!drawn)
		drawn = pg_strong_random(&name_salt, sizeof(name_salt));
	return drawn;
}

static void
write_name(char *name, uint64 number)
{
	snprintf(name, PCFG_STATEMENT_NAME_LEN, "pool_config_" UINT64_FORMAT "_" UINT64_FORMAT,
			 name_salt, number);
}

/* ----------------------------------------------------------------
 * the cache
 * ----------------------------------------------------------------
 */

bool
pcfg_statements_allowed(const PcfgTarget *target)
{
	return target->policy.value[PCFG_POOLER] != PCFG_POOLER_TRANSACTION &&
		!(target->pool != PCFG_NONE && pcfg_pools[target->pool].pooled) &&
		target->policy.value[PCFG_POOL_RESET] == PCFG_RESET_AUTO;
}

/* Takes an entry out; the remote is told with the next series. */
static void
remove_entry(PcfgStatementCache *cache, Entry *entry)
{
	Assert(cache->nclosed < CLOSED_MAX);
	cache->closed[cache->nclosed++] = entry->number;
	cache->bytes -= entry->bytes;
	cache->nentries--;
	dlist_delete(&entry->node);
	pfree(entry);
}

void
pcfg_statements_void(PcfgStatementCache *cache)
{
	if (cache == NULL)
		return;
	while (!dlist_is_empty(&cache->entries))
		remove_entry(cache, dlist_head_element(Entry, node, &cache->entries));
}

/* Another connection, or a reset: what the remote had of ours is gone. */
static void
start_anew(PcfgStatementCache *cache)
{
	if (cache->nentries > 0)
		pcfg_statements_void(cache);
	cache->nclosed = 0;
	memset(cache->seen, 0, sizeof(cache->seen));
}

/* The target's memory is its cache entry's, which goes with it. */
static PcfgStatementCache *
create(PcfgTarget *target)
{
	MemoryContext context = AllocSetContextCreate(GetMemoryChunkContext(target),
												  "pool_config statements",
												  ALLOCSET_SMALL_SIZES);
	PcfgStatementCache *cache = MemoryContextAllocZero(context, sizeof(PcfgStatementCache));

	cache->context = context;
	cache->slot = PCFG_NONE;
	dlist_init(&cache->entries);
	target->statements = cache;
	return cache;
}

PcfgStatementCache *
pcfg_statements_begin(PcfgTarget *target, const PcfgGrant *grant, bool reset)
{
	PcfgStatementCache *cache = target->statements;

	if (!pcfg_statements_allowed(target) || !draw_salt())
		return NULL;
	if (cache == NULL)
		cache = create(target);
	if (cache->busy || cache->unknown >= UNKNOWN_MAX)
		return NULL;
	/* the lease that used it last, or the next one after it */
	if (reset || cache->slot != grant->slot ||
		(cache->use != pcfg_word_use(grant->word) &&
		 (!grant->same || cache->use + 1 != pcfg_word_use(grant->word))))
		start_anew(cache);
	cache->busy = true;
	cache->slot = grant->slot;
	cache->use = pcfg_word_use(grant->word);
	return cache;
}

void
pcfg_statements_end(PcfgStatementCache *cache)
{
	if (cache != NULL)
		cache->busy = false;
}

/* ----------------------------------------------------------------
 * statements
 * ----------------------------------------------------------------
 */

/* Of text and types; never 0. */
static uint64
hash_statement(const char *sql, size_t len, const PcfgWireParam *params, int nparams)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) sql, (int) len, nparams);
	int			i;

	for (i = 0; i < nparams; i++)
		hash = hash_combine64(hash, params[i].type);
	return hash != 0 ? hash : 1;
}

/*
 * The entry's types are not compared: a hash that is equal in 64 bits for the
 * same text would only make the remote refuse or convert the values.
 */
static Entry *
find(PcfgStatementCache *cache, uint64 hash, const char *sql)
{
	dlist_iter	iter;

	dlist_foreach(iter, &cache->entries)
	{
		Entry	   *entry = dlist_container(Entry, node, iter.cur);

		if (entry->hash == hash && strcmp(entry->sql, sql) == 0)
			return entry;
	}
	return NULL;
}

/* Whether a statement of that hash ran before on this connection. */
static bool
seen_before(PcfgStatementCache *cache, uint64 hash)
{
	int			i;

	for (i = 0; i < SEEN_MAX; i++)
	{
		if (cache->seen[i] == hash)
			return true;
	}
	return false;
}

void
pcfg_statements_plan(PcfgStatementCache *cache, const char *sql,
					 const PcfgWireParam *params, int nparams,
					 PcfgTime now, PcfgPlanned *planned)
{
	size_t		len = strlen(sql);
	Entry	   *entry;

	memset(planned, 0, sizeof(*planned));
	planned->how = PCFG_RUN_ONCE;
	if (cache == NULL || len > STATEMENT_MAX)
		return;
	planned->hash = hash_statement(sql, len, params, nparams);
	entry = find(cache, planned->hash, sql);
	if (entry != NULL && now - entry->prepared_at >= AGE_MAX)
	{
		remove_entry(cache, entry);
		entry = NULL;
	}
	if (entry != NULL)
	{
		dlist_move_head(&cache->entries, &entry->node);
		planned->how = PCFG_RUN_PREPARED;
		planned->number = entry->number;
		planned->columns.type = 'T';
		planned->columns.body = entry->has_columns ? entry->columns : NULL;
		planned->columns.len = entry->columns_len;
	}
	else if (seen_before(cache, planned->hash) && cache->nclosed < CLOSED_MAX / 2)
	{
		planned->how = PCFG_RUN_PREPARE;
		planned->number = ++last_number;
	}
	else
		return;
	write_name(planned->name, planned->number);
}

/* Plain queries and changes, by their tags. */
static bool
is_plain(const char *tag)
{
	static const char *const plain[] = {"SELECT ", "INSERT ", "UPDATE ", "DELETE ", "MERGE "};
	int			i;

	for (i = 0; i < lengthof(plain); i++)
	{
		if (strncmp(tag, plain[i], strlen(plain[i])) == 0)
			return true;
	}
	return false;
}

/* Makes room by what was not used for longest. */
static void
keep(PcfgStatementCache *cache, const PcfgPlanned *planned, const char *sql,
	 const PcfgFrame *columns, PcfgTime now)
{
	size_t		sql_size = strlen(sql) + 1;
	size_t		bytes = offsetof(Entry, sql) + sql_size + columns->len;
	Entry	   *entry;

	if (bytes > 2 * STATEMENT_MAX)
	{
		cache->closed[cache->nclosed++] = planned->number;
		return;
	}
	while (cache->nentries >= STATEMENTS_MAX || cache->bytes + bytes > BYTES_MAX)
		remove_entry(cache, dlist_tail_element(Entry, node, &cache->entries));
	entry = MemoryContextAllocZero(cache->context, bytes);
	entry->hash = planned->hash;
	entry->number = planned->number;
	entry->prepared_at = now;
	entry->bytes = bytes;
	entry->has_columns = columns->body != NULL;
	entry->columns_len = columns->len;
	entry->columns = entry->sql + sql_size;
	memcpy(entry->sql, sql, sql_size);
	if (entry->has_columns)
		memcpy(entry->columns, columns->body, columns->len);
	dlist_push_head(&cache->entries, &entry->node);
	cache->nentries++;
	cache->bytes += bytes;
}

void
pcfg_statements_ran(PcfgStatementCache *cache, const PcfgPlanned *planned,
					const char *sql, const PcfgFrame *columns,
					const char *tag, PcfgTime now)
{
	if (cache == NULL)
		return;
	if (!is_plain(tag))
	{
		pcfg_statements_failed(cache, planned, false);
		pcfg_statements_void(cache);
	}
	else if (planned->how == PCFG_RUN_PREPARE)
		keep(cache, planned, sql, columns, now);
	else if (planned->how == PCFG_RUN_ONCE && planned->hash != 0)
	{
		cache->seen[cache->next_seen] = planned->hash;
		cache->next_seen = (cache->next_seen + 1) % SEEN_MAX;
	}
}

/* Of a number, if it is kept. */
static Entry *
find_number(PcfgStatementCache *cache, uint64 number)
{
	dlist_iter	iter;

	dlist_foreach(iter, &cache->entries)
	{
		Entry	   *entry = dlist_container(Entry, node, iter.cur);

		if (entry->number == number)
			return entry;
	}
	return NULL;
}

void
pcfg_statements_failed(PcfgStatementCache *cache, const PcfgPlanned *planned,
					   bool unknown)
{
	Entry	   *entry;

	if (cache == NULL)
		return;
	if (unknown)
		cache->unknown++;
	if (planned->how == PCFG_RUN_PREPARE)
		cache->closed[cache->nclosed++] = planned->number;
	else if (planned->how == PCFG_RUN_PREPARED &&
			 (entry = find_number(cache, planned->number)) != NULL)
		remove_entry(cache, entry);
}

bool
pcfg_statements_next_closed(PcfgStatementCache *cache, char *name)
{
	if (cache == NULL || cache->nclosed == 0)
		return false;
	write_name(name, cache->closed[--cache->nclosed]);
	return true;
}
