/*-------------------------------------------------------------------------
 *
 * shared/compat.h
 *	  The only file that names versions of the server and of libpq.
 *
 * Floor 0.  Supported: PostgreSQL 15 to 18.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_COMPAT_H
#define PCFG_COMPAT_H

#include "postgres.h"

#include "libpq-fe.h"

#include "catalog/pg_foreign_server.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#endif
#if PG_VERSION_NUM >= 180000
#include "storage/waiteventset.h"
#endif

#if PG_VERSION_NUM < 150000
#error "pool_config needs PostgreSQL 15 or later"
#endif
#ifdef EXEC_BACKEND
#error "pool_config needs a server whose processes are made by fork()"
#endif

/* In front of the declaration of a function that does not return. */
#if PG_VERSION_NUM >= 180000
#define PCFG_NORETURN	pg_noreturn
#else
#define PCFG_NORETURN	__attribute__((noreturn))
#endif

/*
 * Whether libpq's errors up to the end of the TLS handshake are its own words;
 * before these releases it passed on what anybody had sent in plain text.
 */
#define PCFG_LIBPQ_HIDES_PLAIN_TEXT \
	(PQlibVersion() >= 180000 || \
	 (PQlibVersion() / 10000 == 17 && PQlibVersion() % 10000 >= 1) || \
	 (PQlibVersion() / 10000 == 16 && PQlibVersion() % 10000 >= 5) || \
	 (PQlibVersion() / 10000 == 15 && PQlibVersion() % 10000 >= 9))

/*
 * A cancel request as libpq sends it, in one blocking call.  From 17 on it is
 * encrypted where its connection is, and checks what that one checks.
 */
#ifdef LIBPQ_HAS_ASYNC_CANCEL
typedef PGcancelConn PcfgLibpqCancel;

static inline PcfgLibpqCancel *
pcfg_libpq_cancel_make(PGconn *conn)
{
	return PQcancelCreate(conn);
}

static inline void
pcfg_libpq_cancel_send(PcfgLibpqCancel *cancel)
{
	(void) PQcancelBlocking(cancel);
}

static inline void
pcfg_libpq_cancel_free(PcfgLibpqCancel *cancel)
{
	PQcancelFinish(cancel);
}
#else
typedef PGcancel PcfgLibpqCancel;

static inline PcfgLibpqCancel *
pcfg_libpq_cancel_make(PGconn *conn)
{
	return PQgetCancel(conn);
}

static inline void
pcfg_libpq_cancel_send(PcfgLibpqCancel *cancel)
{
	char		errbuf[256];

	(void) PQcancel(cancel, errbuf, sizeof(errbuf));
}

static inline void
pcfg_libpq_cancel_free(PcfgLibpqCancel *cancel)
{
	PQfreeCancel(cancel);
}
#endif

/*
 * A function callable from SQL.  We are built with hidden symbols, as the
 * server builds modules from 16 on; up to 15 its macro does not export.
 */
#define PCFG_SQL_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

/* My process number: an index into ProcGlobal->allProcs, below MaxBackends. */
#if PG_VERSION_NUM >= 170000
#define PCFG_MY_PROCNO	((int) MyProcNumber)
#else
#define PCFG_MY_PROCNO	(MyProc->pgprocno)
#endif

static inline Latch *
pcfg_process_latch(int procno)
{
	return &ProcGlobal->allProcs[procno].procLatch;
}

/* A wait set that outlives transactions and resource owners. */
static inline WaitEventSet *
pcfg_create_wait_set(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, nevents);
#else
	return CreateWaitEventSet(TopMemoryContext, nevents);
#endif
}

/* Whether a role owns a foreign server. */
static inline bool
pcfg_owns_foreign_server(Oid server, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ForeignServerRelationId, server, role);
#else
	return pg_foreign_server_ownercheck(server, role);
#endif
}

/* Names in pg_stat_activity.wait_event: own ones from 17 on. */
typedef enum PcfgWait
{
	PCFG_WAIT_FOR_CONNECTION,	/* PoolConfigGetConnection */
	PCFG_WAIT_FOR_RESULT,		/* PoolConfigGetResult */
	PCFG_WAIT_FOR_WORKER,		/* PoolConfigWorkerReply */
	PCFG_WAIT_WORKER_MAIN		/* PoolConfigWorkerMain */
} PcfgWait;

static inline uint32
pcfg_wait_event(PcfgWait which)
{
#if PG_VERSION_NUM >= 170000
	static uint32 ids[4];
	static const char *const names[] = {
		"PoolConfigGetConnection", "PoolConfigGetResult",
		"PoolConfigWorkerReply", "PoolConfigWorkerMain"
	};

	if (ids[which] == 0)
		ids[which] = WaitEventExtensionNew(names[which]);
	return ids[which];
#else
	(void) which;
	return PG_WAIT_EXTENSION;
#endif
}

/* The right of a role to use a foreign server. */
static inline AclResult
pcfg_server_aclcheck(Oid server, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, server, role, ACL_USAGE);
#else
	return pg_foreign_server_aclcheck(server, role, ACL_USAGE);
#endif
}

/*
 * The server's record of a GUC, which stays where it is while the process
 * lives; NULL when there is none of that name.
 */
static inline const struct config_generic *
pcfg_guc_find(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, ERROR);
#else
	struct config_generic **variables = get_guc_variables();
	int			n = GetNumConfigOptions();
	int			i;

	for (i = 0; i < n; i++)
		if (strcmp(variables[i]->name, name) == 0)
			return variables[i];
	return NULL;
#endif
}

/* The type of that name as SQL writes it; *type InvalidOid when there is none. */
static inline void
pcfg_parse_type(const char *name, Oid *type, int32 *typmod)
{
#if PG_VERSION_NUM >= 160000
	ErrorSaveContext context = {T_ErrorSaveContext};

	if (!parseTypeString(name, type, typmod, (Node *) &context))
		*type = InvalidOid;
#else
	parseTypeString(name, type, typmod, true);
#endif
}

#endif							/* PCFG_COMPAT_H */
