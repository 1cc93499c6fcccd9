/*-------------------------------------------------------------------------
 *
 * backend/inquiry.c
 *	  A question to a target whose failure is an answer, too.
 *
 * Floor 1; backends.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/xact.h"
#include "backend/inquiry.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"

typedef struct Question
{
	const char *target;
	const char *sql;
	int			n;
	char	  **values;
	const char *pool_timeout;
	MemoryContext context;		/* of the values */
} Question;

ErrorData *
pcfg_attempt(PcfgAttempt attempt, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		attempt(arg);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_END_TRY();
	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error;
}

/* "SELECT * FROM pool_config.query($1, $2) AS t(c1 text, ...)" */
static char *
local_query(int n)
{
	StringInfoData text;
	int			i;

	initStringInfo(&text);
	appendStringInfoString(&text, "SELECT * FROM pool_config.query($1, $2) AS t(");
	for (i = 0; i < n; i++)
		appendStringInfo(&text, "%sc%d pg_catalog.text", i > 0 ? ", " : "", i);
	appendStringInfoChar(&text, ')');
	return text.data;
}

static void
take_values(const Question *q)
{
	MemoryContext old;
	int			i;

	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("the remote answered with " UINT64_FORMAT " rows", SPI_processed)));
	old = MemoryContextSwitchTo(q->context);
	for (i = 0; i < q->n; i++)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1);

		q->values[i] = value != NULL ? pstrdup(value) : NULL;
	}
	MemoryContextSwitchTo(old);
}

static void
ask(void *arg)
{
	Question   *q = arg;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		args[2];
	int			nest = NewGUCNestLevel();

	if (q->pool_timeout != NULL)
		(void) set_config_option("pool_config.pool_timeout", q->pool_timeout,
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	args[0] = CStringGetTextDatum(q->target);
	args[1] = CStringGetTextDatum(q->sql);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(local_query(q->n), 2, types, args, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed");
	take_values(q);
	SPI_finish();
	AtEOXact_GUC(true, nest);
}

ErrorData *
pcfg_inquire(const char *target, const char *sql, int n, char **values,
			 const char *pool_timeout)
{
	Question	q = {target, sql, n, values, pool_timeout, CurrentMemoryContext};

	return pcfg_attempt(ask, &q);
}
