/*-------------------------------------------------------------------------
 *
 * backend/ddl_watch.c
 *	  Retires the pools of targets that a committed DDL command changed.
 *
 * Floor 11; backends.
 *
 * The key of a pool carries a fingerprint of its options, so a call after
 * the change never gets an old connection; this file only sees to it that
 * the old ones are closed soon, although nobody may ever call again.  A
 * server, mapping or database that is altered or dropped is noted, and at
 * commit its pools are retired: no new lease, idle connections closed,
 * leased ones when they come back.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/xact.h"
#include "backend/ddl_watch.h"
#include "backend/hold.h"
#include "backend/target.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "nodes/parsenodes.h"
#include "shared/pool.h"
#include "shared/steering.h"
#include "tcop/utility.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

/* One changed object; lives in TopTransactionContext. */
typedef struct Change
{
	Oid			class_id;
	Oid			object_id;
	int			effects;		/* of those below */
	SubTransactionId subid;		/* that made the change */
	struct Change *next;
} Change;

#define RETIRE		1			/* its pools */
#define FORGIVE		2			/* failed connects: its owner has changed it */
#define FORGET		4			/* all: it is no more */

static object_access_hook_type prev_object_access_hook = NULL;
static ProcessUtility_hook_type prev_process_utility_hook = NULL;
static Change *changes = NULL;

static void
note_change(Oid class_id, Oid object_id, int effects)
{
	Change	   *change = MemoryContextAlloc(TopTransactionContext, sizeof(Change));

	change->effects = effects;
	change->class_id = class_id;
	change->object_id = object_id;
	change->subid = GetCurrentSubTransactionId();
	change->next = changes;
	changes = change;
}

static void
object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id,
			  void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, class_id, object_id, sub_id, arg);

	if ((access == OAT_POST_ALTER || access == OAT_DROP) &&
		(class_id == ForeignServerRelationId ||
		 class_id == UserMappingRelationId ||
		 (class_id == DatabaseRelationId && access == OAT_DROP)) &&
		pcfg_shared != NULL)
		note_change(class_id, object_id, RETIRE |
					(class_id == ForeignServerRelationId ? FORGIVE : 0) |
					(access == OAT_DROP ? FORGET : 0));
}

/* A mapping was made or dropped, perhaps by the owner of the server. */
static void
note_owner(const char *name)
{
	Oid			server = get_foreign_server_oid(name, true);

	if (OidIsValid(server) && pcfg_owns_foreign_server(server, GetUserId()))
		note_change(ForeignServerRelationId, server, FORGIVE);
}

/* The server of a statement about a user mapping, or NULL. */
static const char *
mapping_server(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateUserMappingStmt:
			return ((const CreateUserMappingStmt *) stmt)->servername;
		case T_AlterUserMappingStmt:
			return ((const AlterUserMappingStmt *) stmt)->servername;
		case T_DropUserMappingStmt:
			return ((const DropUserMappingStmt *) stmt)->servername;
		default:
			return NULL;
	}
}

static bool
is_discard_all(const Node *stmt)
{
	return IsA(stmt, DiscardStmt) && ((const DiscardStmt *) stmt)->target == DISCARD_ALL;
}

/*
 * ALTER USER MAPPING has no object access hook.  The other two are looked at
 * for who makes the change.
 */
static void
process_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	const char *server = mapping_server(pstmt->utilityStmt);
	bool		discard_all = is_discard_all(pstmt->utilityStmt);

	/* a COMMIT frees the statement: it is not looked at again behind this */
	if (prev_process_utility_hook)
		prev_process_utility_hook(pstmt, query, read_only_tree, context, params,
								  env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params,
								env, dest, qc);

	if (discard_all)
	{
		pcfg_hold_end_all();
		pcfg_target_forget_uses();
	}
	if (server == NULL || pcfg_shared == NULL)
		return;
	if (IsA(pstmt->utilityStmt, AlterUserMappingStmt))
		pcfg_ddl_watch_note_server(server);
	else
		note_owner(server);
}

/*
 * Who does not own the server can only have changed his own mapping, and
 * only its pools are concerned: he disturbs nobody else, and buys no new
 * attempts.
 */
void
pcfg_ddl_watch_note_server(const char *name)
{
	Oid			server = get_foreign_server_oid(name, true);
	Oid			mapping;

	if (!OidIsValid(server))
		return;
	if (pcfg_owns_foreign_server(server, GetUserId()))
	{
		note_change(ForeignServerRelationId, server, RETIRE | FORGIVE);
		return;
	}
	mapping = GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
							  ObjectIdGetDatum(GetUserId()), ObjectIdGetDatum(server));
	if (OidIsValid(mapping))
		note_change(UserMappingRelationId, mapping, RETIRE);
}

static void
retire(const Change *change)
{
	switch (change->class_id)
	{
		case ForeignServerRelationId:
			if (change->effects & FORGIVE)
				pcfg_steer_forgive(MyDatabaseId, change->object_id);
			if (change->effects & FORGET)
				pcfg_steer_forget(MyDatabaseId, change->object_id);
			if (change->effects & RETIRE)
				pcfg_pool_retire(MyDatabaseId, change->object_id, InvalidOid);
			break;
		case UserMappingRelationId:
			pcfg_pool_retire(MyDatabaseId, InvalidOid, change->object_id);
			break;
		case DatabaseRelationId:
			pcfg_steer_forget(change->object_id, InvalidOid);
			pcfg_pool_retire(change->object_id, InvalidOid, InvalidOid);
			break;
	}
}

static void
retire_all(void)
{
	const Change *change;

	for (change = changes; change != NULL; change = change->next)
		retire(change);
	changes = NULL;
}

/*
 * Never raises: the transaction is committed already.  It comes after the
 * invalidation messages were sent, so that whoever finds his pool retired
 * finds the new options, too, and does not make the old pool again.
 */
static void
at_commit(ResourceReleasePhase phase, bool is_commit, bool is_top_level, void *arg)
{
	if (phase == RESOURCE_RELEASE_AFTER_LOCKS && is_commit && is_top_level)
		retire_all();
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PREPARE)
		retire_all();
	else if (event == XACT_EVENT_ABORT)
		changes = NULL;
}

/* What a rolled back subtransaction changed has not changed. */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	Change	  **link = &changes;

	while (*link != NULL)
	{
		if ((*link)->subid == mine && event == SUBXACT_EVENT_ABORT_SUB)
		{
			*link = (*link)->next;
			continue;
		}
		if ((*link)->subid == mine && event == SUBXACT_EVENT_COMMIT_SUB)
			(*link)->subid = parent;
		link = &(*link)->next;
	}
}

void
pcfg_ddl_watch_install(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = object_access;
	prev_process_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	RegisterResourceReleaseCallback(at_commit, NULL);
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
