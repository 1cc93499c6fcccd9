/*-------------------------------------------------------------------------
 *
 * backend/target.c
 *	  From a target's name to identity, options, policy and rights.
 *
 * Floor 7; backends.  Promises that a target is handed out only to a role
 * that may use it now, with the mapping of that role.  Refuses to know
 * connections, leases and the network.
 *
 * What the catalogs say of a target is kept in a cache of this process, one
 * entry for each (server, effective role), and is thrown away when they
 * change.  Rights are not kept: they are checked at each call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "backend/target.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "backend/file_rights.h"
#include "backend/target_params.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "shared/compat.h"
#include "shared/settings.h"
#include "url/provider.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define CACHE_MAX		128		/* entries; beyond it the oldest idle one goes */
#define HINT_NAMES_MAX	1000	/* servers looked at for a hint */

typedef struct CacheEntry
{
	PcfgTarget	target;			/* must be first */
	dlist_node	node;
	MemoryContext context;		/* holds the entry and all it points to */
	MemoryContextCallback wipe;
	PcfgParams	params;			/* what target.keywords and .values are */
	uint32		server_hash;	/* of the catalog's row, for invalidation */

	/* how the policy is made anew when a GUC changes */
	uint64		settings_version;
	bool		has_option[PCFG_SETTING_COUNT];
	PcfgPolicy	option;			/* where has_option says so */
	bool		has_init_sql;	/* the target's own; else the GUC's */
	const PcfgProvider *provider;	/* whose host it is, or NULL */
	bool		pooled;			/* params are for a pooler between transactions */
} CacheEntry;

static dlist_head entries = DLIST_STATIC_INIT(entries); /* most recent first */
static int	nentries = 0;
static MemoryContext cache_context = NULL;

static bool any_stale = false;	/* some entry can be freed, perhaps */
static uint64 invalidations = 0;	/* to notice those that come while building */

/* Runs before the entry's memory goes, on an error too. */
static void
entry_wipe(void *arg)
{
	pcfg_params_wipe(&((CacheEntry *) arg)->params);
}

static void
entry_destroy(CacheEntry *entry)
{
	dlist_delete(&entry->node);
	nentries--;
	MemoryContextDelete(entry->context);
}

/*
 * Nothing is freed here: invalidation comes in the midst of anything, and a
 * caller up the stack may hold a target.
 */
static void
invalidate(Datum arg, int cacheid, uint32 hashvalue)
{
	dlist_iter	iter;

	invalidations++;
	dlist_foreach(iter, &entries)
	{
		CacheEntry *entry = dlist_container(CacheEntry, node, iter.cur);

		/*
		 * A new mapping may take the place of PUBLIC's, and a role may cease
		 * to be superuser: no hash of ours tells.
		 */
		if (cacheid != FOREIGNSERVEROID || hashvalue == 0 ||
			hashvalue == entry->server_hash)
		{
			entry->target.stale = true;
			any_stale = true;
		}
	}
}

static void
cache_create(void)
{
	cache_context = AllocSetContextCreate(TopMemoryContext, "pool_config targets",
										  ALLOCSET_SMALL_SIZES);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, invalidate, (Datum) 0);
}

/* Frees what is stale and not in use. */
static void
cache_sweep(void)
{
	dlist_mutable_iter iter;

	if (!any_stale)
		return;
	any_stale = false;
	dlist_foreach_modify(iter, &entries)
	{
		CacheEntry *entry = dlist_container(CacheEntry, node, iter.cur);

		if (!entry->target.stale)
			continue;
		if (entry->target.pins > 0)
			any_stale = true;
		else
			entry_destroy(entry);
	}
}

/* A session that goes through many roles must not grow without end. */
static void
cache_evict(void)
{
	dlist_node *node = nentries > 0 ? dlist_tail_node(&entries) : NULL;

	while (nentries >= CACHE_MAX && node != NULL)
	{
		CacheEntry *entry = dlist_container(CacheEntry, node, node);

		node = dlist_has_prev(&entries, node) ? dlist_prev_node(&entries, node) : NULL;
		if (entry->target.pins == 0)
			entry_destroy(entry);
	}
}

static CacheEntry *
cache_find(Oid server, Oid role)
{
	dlist_iter	iter;

	dlist_foreach(iter, &entries)
	{
		CacheEntry *entry = dlist_container(CacheEntry, node, iter.cur);

		if (entry->target.key.server == server && entry->target.role == role &&
			!entry->target.stale)
		{
			dlist_move_head(&entries, &entry->node);
			return entry;
		}
	}
	return NULL;
}

/* The GUC's statements, or NULL when there are none. */
static const char *
configured_init_sql(void)
{
	const char *sql = pcfg_settings_text(PCFG_INIT_SQL);

	return sql[0] != '\0' ? sql : NULL;
}

/* Does a pooler between transactions stand before it, as far as is known? */
static bool
is_pooled(const CacheEntry *entry)
{
	int64		pooler;

	if (entry->has_option[PCFG_POOLER])
		pooler = entry->option.value[PCFG_POOLER];
	else if (pcfg_settings_is_configured(PCFG_POOLER) ||
			 !pcfg_provider_setting(entry->provider, PCFG_POOLER, &pooler))
		pooler = pcfg_settings_value(PCFG_POOLER);
	return pooler == PCFG_POOLER_TRANSACTION;
}

/*
 * SET of a session wins over the target's option, that over the GUC's other
 * sources.  Returns false when the entry must be built anew: init_sql, and
 * what is sent at the start, are part of the identity of a pool.
 */
static bool
entry_refresh(CacheEntry *entry)
{
	PcfgTarget *target = &entry->target;
	int			i;

	if (entry->settings_version == pcfg_settings_version)
		return true;
	if (is_pooled(entry) != entry->pooled)
		return false;
	if (!entry->has_init_sql)
	{
		const char *now = configured_init_sql();

		if ((now == NULL) != (target->init_sql == NULL) ||
			(now != NULL && strcmp(now, target->init_sql) != 0))
			return false;
	}
	entry->settings_version = pcfg_settings_version;
	target->policy.own = 0;
	for (i = 0; i < PCFG_SETTING_COUNT; i++)
	{
		if (entry->has_option[i] && !pcfg_settings_is_session(i))
		{
			target->policy.value[i] = entry->option.value[i];
			target->policy.own |= 1U << i;
		}
		else if (!pcfg_settings_is_configured(i) &&
				 pcfg_provider_setting(entry->provider, i, &target->policy.value[i]))
			target->policy.own |= 1U << i;
		else
			target->policy.value[i] = pcfg_settings_value(i);
	}
	return true;
}

/* The validator refuses such a value; a catalog may be older than it. */
static void
refuse_setting(const char *target, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("option of target \"%s\" is not valid: %s", target, why),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * The settings among the options of a server.  Wrappers of others have only
 * libpq's connect_timeout, which there takes 0 and less for "no limit": such
 * a value leaves it to the GUC, for a pool always has one.
 */
static void
entry_read_settings(CacheEntry *entry, List *options, bool foreign_wrapper)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);
		const PcfgSetting *s = pcfg_setting_find(option->defname);
		const char *text;
		const char *why;
		const char *hint;
		char		errbuf[256];

		if (s == NULL || (foreign_wrapper && s->id != PCFG_CONNECT_TIMEOUT))
			continue;
		text = defGetString(option);
		if (s->kind == PCFG_KIND_TEXT)
		{
			entry->has_init_sql = true;
			entry->target.init_sql = text[0] != '\0' ? pstrdup(text) : NULL;
		}
		else if (pcfg_setting_parse(s, text, &entry->option.value[s->id],
									errbuf, sizeof(errbuf), &why, &hint))
			entry->has_option[s->id] = true;
		else if (!foreign_wrapper)
			refuse_setting(entry->target.name, why, hint);
	}
}

bool
pcfg_target_is_wrapper(Oid wrapper, bool *foreign)
{
	ForeignDataWrapper *fdw = GetForeignDataWrapperExtended(wrapper, FDW_MISSING_OK);

	if (fdw == NULL)
		return false;
	*foreign = strcmp(fdw->fdwname, "pool_config") != 0;
	return !*foreign || strcmp(fdw->fdwname, "postgres_fdw") == 0 ||
		strcmp(fdw->fdwname, "dblink_fdw") == 0;
}

/*
 * The options of the role's mapping, else of PUBLIC's, in the current memory
 * context; its OID and user go to the target.
 */
static List *
read_mapping(PcfgTarget *target)
{
	HeapTuple	tuple;
	Datum		datum;
	bool		isnull;
	List	   *options;

	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(target->role),
							ObjectIdGetDatum(target->key.server));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
								ObjectIdGetDatum(target->key.server));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("user mapping not found for target \"%s\" and role \"%s\"",
						target->name, GetUserNameFromId(target->role, false)),
				 errhint("Make one with CREATE USER MAPPING, for the role or for PUBLIC.")));

	target->key.mapping = ((Form_pg_user_mapping) GETSTRUCT(tuple))->oid;
	target->mapping_user = ((Form_pg_user_mapping) GETSTRUCT(tuple))->umuser;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple,
							Anum_pg_user_mapping_umoptions, &isnull);
	options = isnull ? NIL : untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return options;
}

static void
wipe_options(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		char	   *text = defGetString(lfirst(lc));

		explicit_bzero(text, strlen(text));
	}
}

static void
report_unknown_server(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("target was dropped while it was being looked up")));
}

static const PcfgProvider *
find_provider(List *server_options)
{
	const char *host = NULL;
	const char *port = NULL;
	ListCell   *lc;

	foreach(lc, server_options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "host") == 0)
			host = defGetString(option);
		else if (strcmp(option->defname, "port") == 0)
			port = defGetString(option);
	}
	return pcfg_provider_find(host, port);
}

/* Fills an entry whose key says server and role; in the entry's context. */
static void
entry_fill(CacheEntry *entry, MemoryContext scratch)
{
	PcfgTarget *target = &entry->target;
	PcfgParamsSource source = {0};
	ForeignServer *server;
	MemoryContext own;

	own = MemoryContextSwitchTo(scratch);
	server = GetForeignServerExtended(target->key.server, FSV_MISSING_OK);
	if (server == NULL)
		report_unknown_server();
	strlcpy(target->name, server->servername, sizeof(target->name));
	target->owner = server->owner;
	if (!pcfg_target_is_wrapper(server->fdwid, &source.foreign_wrapper))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not a target", target->name),
				 errhint("Targets are servers of the foreign-data wrappers pool_config, postgres_fdw and dblink_fdw.")));
	source.target = target->name;
	source.owner_is_trusted = pcfg_may_name_files(server->owner);
	source.role_name = GetUserNameFromId(target->role, false);
	source.server_options = server->options;
	source.mapping_options = read_mapping(target);
	source.mapping_name = OidIsValid(target->mapping_user) ?
		GetUserNameFromId(target->mapping_user, false) : "public";
	source.database = get_database_name(MyDatabaseId);
	MemoryContextSwitchTo(own);

	entry_read_settings(entry, server->options, source.foreign_wrapper);
	if (!entry->has_init_sql && configured_init_sql() != NULL)
		target->init_sql = pstrdup(configured_init_sql());
	entry->provider = find_provider(server->options);
	entry->pooled = source.pooled = is_pooled(entry);
	pcfg_params_build(&entry->params, &source);
	wipe_options(source.mapping_options);
	pcfg_params_fingerprint(&entry->params, target->init_sql, target->key.server,
							target->key.mapping, target->key.fingerprint);
	pcfg_params_address_id(&entry->params, target->name, target->key.address_id);
	target->nparams = entry->params.n;
	target->keywords = entry->params.keywords;
	target->values = entry->params.values;
	target->password_given = entry->params.password_given;
	target->password_required = entry->params.password_required;
	(void) entry_refresh(entry);
}

/*
 * Makes the entry for a server and role.  Until it is complete its memory
 * belongs to the current context, so that an error leaves nothing behind.
 */
static CacheEntry *
entry_create(Oid server, Oid role)
{
	uint64		seen = invalidations;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	MemoryContext scratch;
	CacheEntry *entry;

	cache_evict();
	context = AllocSetContextCreate(caller, "pool_config target",
									ALLOCSET_SMALL_SIZES);
	scratch = AllocSetContextCreate(caller, "pool_config target catalog",
									ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(context);
	entry = palloc0(sizeof(CacheEntry));
	entry->context = context;
	entry->wipe.func = entry_wipe;
	entry->wipe.arg = entry;
	MemoryContextRegisterResetCallback(context, &entry->wipe);
	entry->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID,
											   ObjectIdGetDatum(server));
	entry->target.key.database = MyDatabaseId;
	entry->target.key.server = server;
	entry->target.role = role;
	entry->target.pool = PCFG_NONE;
	entry->target.last.slot = PCFG_NONE;
	entry_fill(entry, scratch);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);

	/* good for this call, but what was read may be old by now */
	if (seen != invalidations)
	{
		entry->target.stale = true;
		any_stale = true;
	}
	MemoryContextSetParent(context, cache_context);
	dlist_push_head(&entries, &entry->node);
	nentries++;
	return entry;
}

/*
 * Addresses hold passwords and are given by mistake where names belong.
 */
static bool
looks_like_address(const char *text)
{
	return strlen(text) >= NAMEDATALEN || strpbrk(text, ":/=@") != NULL;
}

const char *
pcfg_target_nearest(const char *name)
{
	const char **names = palloc(HINT_NAMES_MAX * sizeof(char *));
	int			n = 0;
	Relation	catalog = table_open(ForeignServerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (n < HINT_NAMES_MAX && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server row = (Form_pg_foreign_server) GETSTRUCT(tuple);
		bool		foreign;

		if (pcfg_server_aclcheck(row->oid, GetUserId()) == ACLCHECK_OK &&
			pcfg_target_is_wrapper(row->srvfdw, &foreign))
			names[n++] = pstrdup(NameStr(row->srvname));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return pcfg_nearest_name(name, names, n);
}

void
pcfg_target_report_unknown(const char *name)
{
	const char *nearest;

	if (looks_like_address(name))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no target of the given name"),
				 errdetail("It looks like an address, and is not repeated here because it may hold a password."),
				 errhint("Make a target of the address with pool_config.create_target(), then use the target's name.")));

	nearest = pcfg_target_nearest(name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("target \"%s\" does not exist", name),
			 nearest != NULL ?
			 errhint("Perhaps you meant the target \"%s\".", nearest) :
			 errhint("pool_config.create_target() makes one; the view pool_config.targets shows those there are.")));
}

/* A role that is bound by the rules on passwords. */
static bool
must_use_password(const PcfgTarget *target)
{
	return target->password_required && !superuser_arg(target->role);
}

void
pcfg_target_require_owner(Oid server, const char *name)
{
	if (!pcfg_owns_foreign_server(server, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_SERVER, name);
}

PcfgTarget *
pcfg_target_open(const char *name)
{
	Oid			role = GetUserId();
	Oid			server = InvalidOid;
	CacheEntry *entry;

	/* within a long transaction, too, a call sees what was committed */
	AcceptInvalidationMessages();
	if (strlen(name) < NAMEDATALEN)
		server = get_foreign_server_oid(name, true);
	if (!OidIsValid(server))
		pcfg_target_report_unknown(name);
	if (pcfg_server_aclcheck(server, role) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, name);

	if (cache_context == NULL)
		cache_create();
	cache_sweep();
	entry = cache_find(server, role);
	if (entry != NULL && !entry_refresh(entry))
	{
		entry->target.stale = true;
		any_stale = true;
		entry = NULL;
	}
	if (entry == NULL)
		entry = entry_create(server, role);

	if (!entry->target.password_given && must_use_password(&entry->target))
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
				 errmsg("password is required to use target \"%s\"", entry->target.name),
				 errdetail("Non-superusers must provide a password in the user mapping.")));
	return &entry->target;
}

void
pcfg_target_forget_uses(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &entries)
		dlist_container(CacheEntry, node, iter.cur)->target.last.slot = PCFG_NONE;
}

void
pcfg_target_pin(PcfgTarget *target)
{
	target->pins++;
}

/* Frees nothing itself: it is called while errors are being handled. */
void
pcfg_target_unpin(PcfgTarget *target)
{
	Assert(target->pins > 0);
	target->pins--;
	if (target->stale)
		any_stale = true;
}

void
pcfg_target_check_connection(const PcfgTarget *target, bool password_used)
{
	if (password_used || !must_use_password(target))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
			 errmsg("password is required to use target \"%s\"", target->name),
			 errdetail("Non-superuser cannot connect if the server does not request a password."),
			 errhint("Target server's authentication method must be changed.")));
}

PcfgTime
pcfg_target_pool_deadline(const PcfgTarget *target, PcfgTime now)
{
	int64		timeout = target->policy.value[PCFG_POOL_TIMEOUT];

	return timeout == PCFG_NEVER ? PCFG_FOREVER : now + timeout;
}

PcfgTime
pcfg_target_command_deadline(const PcfgTarget *target, PcfgTime now)
{
	int64		timeout = target->policy.value[PCFG_COMMAND_TIMEOUT];

	return timeout == 0 ? PCFG_FOREVER : now + timeout;
}
