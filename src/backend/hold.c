/*-------------------------------------------------------------------------
 *
 * backend/hold.c
 *	  Connections that this session keeps beyond a call.
 *
 * Floor 10; backends.
 *
 * The lease of a hold stands in the list of leases, so that the end of the
 * process ends it.  An error path ends it, or puts it to rest, and says
 * nothing to the remote.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/xact.h"
#include "backend/checkout.h"
#include "backend/hold.h"
#include "miscadmin.h"

PcfgHold   *pcfg_holds = NULL;

PcfgHold *
pcfg_hold_search(const PcfgTarget *target)
{
	PcfgHold   *hold;

	for (hold = pcfg_holds; hold != NULL; hold = hold->next)
	{
		if (hold->server == target->key.server && hold->role == target->role)
			return hold;
	}
	return NULL;
}

PcfgHold *
pcfg_hold_by_name(const char *name)
{
	PcfgHold   *hold;

	for (hold = pcfg_holds; hold != NULL; hold = hold->next)
	{
		if (hold->role == GetUserId() && strcmp(hold->name, name) == 0)
			return hold;
	}
	return NULL;
}

static void
destroy(PcfgHold *hold)
{
	PcfgHold  **link = &pcfg_holds;

	while (*link != hold)
		link = &(*link)->next;
	*link = hold->next;
	MemoryContextDelete(hold->context);
}

/* What is lost, and was told, is forgotten with the local transaction. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	PcfgHold   *hold;
	PcfgHold   *next;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	for (hold = pcfg_holds; hold != NULL; hold = next)
	{
		next = hold->next;
		if (hold->told)
			destroy(hold);
	}
}

static void
watch_transactions(void)
{
	static bool watching = false;

	if (!watching)
		RegisterXactCallback(at_transaction_end, NULL);
	watching = true;
}

PcfgHold *
pcfg_hold_take(PcfgTarget *target)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pool_config hold",
												  ALLOCSET_SMALL_SIZES);
	PcfgHold   *hold = MemoryContextAllocZero(context, sizeof(PcfgHold));

	watch_transactions();
	hold->context = context;
	hold->notifications.context = hold->savepoints.context = context;
	pcfg_lease_take(&hold->lease, target, NULL, NULL);

	/* nothing fails from here on */
	target = hold->lease.target;
	hold->server = target->key.server;
	hold->mapping = target->key.mapping;
	hold->role = target->role;
	hold->patience = target->policy.value[PCFG_IDLE_LEASE_TIMEOUT];
	strlcpy(hold->name, target->name, sizeof(hold->name));
	MemoryContextSetParent(context, TopMemoryContext);
	hold->next = pcfg_holds;
	pcfg_holds = hold;
	pcfg_hold_rest(hold, 'I');
	return hold;
}

static bool
is_in_use(const PcfgHold *hold)
{
	return !hold->lost && !hold->lease.resting;
}

bool
pcfg_hold_is_lost(const PcfgHold *hold)
{
	return hold->lost || !pcfg_grant_stands(&hold->lease.grant);
}

static void
require_rest(const PcfgHold *hold)
{
	if (is_in_use(hold))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the connection that this session keeps to target \"%s\" is in use",
						hold->name),
				 errdetail("A remote call was made while another one reads its result from that connection.")));
}

bool
pcfg_hold_listen(PcfgHold *hold)
{
	/* before the reset they are those that somebody else asked for */
	return pcfg_socket_take_idle(hold->lease.socket,
								 hold->lease.needs_reset ? NULL : &hold->notifications,
								 &hold->lease.styles);
}

/* What the lease is for. */
static PcfgHeld
purpose(const PcfgHold *hold)
{
	return hold->joined ? PCFG_HELD_TRANSACTION : PCFG_HELD_ACQUIRE;
}

void
pcfg_hold_rest(PcfgHold *hold, char status)
{
	hold->status = status;
	hold->rested_at = pcfg_now();
	pcfg_lease_rest(&hold->lease, purpose(hold), status == 'I');
}

void
pcfg_hold_lose(PcfgHold *hold)
{
	hold->lost = true;
	pcfg_lease_give_back(&hold->lease, false);
}

/* What the connection was lost by, as far as can be told from here. */
static int
errdetail_loss(const PcfgHold *hold)
{
	char		patience[32];

	if (hold->rested_at == 0)
		return errdetail("A call that was cancelled or failed half-way left it in an unknown state. The statement was not run.");
	if (pcfg_now() - hold->rested_at < hold->patience)
		return errdetail("It was closed while it was not in use. The statement was not run.");
	pcfg_setting_format(&pcfg_settings[PCFG_IDLE_LEASE_TIMEOUT], hold->patience,
						patience, sizeof(patience));
	return errdetail("It was not used for longer than idle_lease_timeout (%s). The statement was not run.",
					 patience);
}

int
pcfg_hold_tell_lost(PcfgHold *hold)
{
	hold->told = true;
	return errhint(hold->joined ?
				   "The local transaction has to be rolled back, as the remote one is." :
				   "What was set, prepared or begun there is gone. After this transaction calls use other connections; acquire() keeps a new one.");
}

void
pcfg_hold_raise_lost(PcfgHold *hold)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg(hold->joined ?
					"the connection of the joined transaction on target \"%s\" is lost" :
					"the connection that this session had acquired to target \"%s\" is lost",
					hold->name),
			 errdetail_loss(hold),
			 pcfg_hold_tell_lost(hold)));
	pg_unreachable();
}

/*
 * Another mapping is another identity at the remote: what was done in the name
 * of the old one is none of its business.
 */
static void
require_mapping(PcfgHold *hold, const PcfgTarget *target)
{
	if (hold->lost || hold->mapping == target->key.mapping)
		return;
	pcfg_hold_lose(hold);
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("the connection that this session kept to target \"%s\" was closed",
					hold->name),
			 errdetail("The role has another user mapping now. The statement was not run."),
			 pcfg_hold_tell_lost(hold)));
}

/*
 * The answer to a ROLLBACK is read, or else what came while nobody asked.  An
 * interrupt may come in the midst of that answer.
 */
static bool
catch_up(PcfgHold *hold)
{
	bool		ok;

	if (!hold->lease.owed)
		return pcfg_hold_listen(hold);
	PG_TRY();
	{
		ok = pcfg_socket_has_rolled_back(hold->lease.socket, &hold->lease.grant,
										 &hold->notifications, &hold->lease.styles,
										 pcfg_target_pool_deadline(hold->lease.target, pcfg_now()));
	}
	PG_CATCH();
	{
		pcfg_hold_lose(hold);
		PG_RE_THROW();
	}
	PG_END_TRY();
	hold->lease.owed = false;
	return ok;
}

void
pcfg_hold_resume(PcfgHold *hold)
{
	require_rest(hold);
	if (!hold->lost)
	{
		if (pcfg_lease_resume(&hold->lease) && catch_up(hold))
		{
			hold->rested_at = 0;
			return;
		}
		hold->lease.broken = true;
		pcfg_hold_lose(hold);
	}
	pcfg_hold_raise_lost(hold);
}

void
pcfg_hold_begin(PcfgHold *hold, const PcfgTarget *target)
{
	require_rest(hold);
	require_mapping(hold, target);
	pcfg_hold_require_joined(hold);
	if (!hold->lost)
		pcfg_lease_check(&hold->lease, target);
	pcfg_hold_resume(hold);
}

/* ----------------------------------------------------------------
 * joined transactions
 * ----------------------------------------------------------------
 */

void
pcfg_hold_acquire(PcfgHold *hold)
{
	hold->depth++;
	hold->acquired = true;
}

void
pcfg_hold_join(PcfgHold *hold, const char *begin)
{
	strlcpy(hold->begin, begin, sizeof(hold->begin));
	hold->joined = true;
	hold->begun = hold->ended = false;
	pcfg_hold_rest(hold, hold->status);
}

List *
pcfg_hold_prelude(PcfgHold *hold)
{
	List	   *begin = NIL;

	if (!hold->joined)
		return NIL;
	if (!hold->begun)
		begin = list_make1(pstrdup(hold->begin));
	return list_concat(begin, pcfg_savepoints_prelude(&hold->savepoints,
													  GetCurrentTransactionNestLevel()));
}

void
pcfg_hold_prelude_done(PcfgHold *hold)
{
	hold->begun = true;
	pcfg_savepoints_done(&hold->savepoints, GetCurrentTransactionNestLevel());
}

void
pcfg_hold_require_joined(const PcfgHold *hold)
{
	if (hold->joined && hold->ended)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("a statement began or ended a transaction on target \"%s\", where one is joined to the local transaction",
						hold->name),
				 errdetail("The joined transaction begins and ends with the local one.")));
}

void
pcfg_hold_part(PcfgHold *hold)
{
	PcfgSavepoints *s = &hold->savepoints;

	hold->joined = hold->begun = hold->ended = false;
	s->n = s->nremote = s->rollback = 0;
	if (is_in_use(hold))
		pcfg_hold_lose(hold);	/* it never is */
	if (!hold->lost && hold->status == 'I')
		pcfg_hold_rest(hold, 'I');
	else if (!hold->lost)
	{
		if (pcfg_lease_roll_back(&hold->lease, PCFG_HELD_ACQUIRE))
			hold->status = 'I';
		else
			pcfg_hold_lose(hold);
	}
	if (hold->depth == 0)
		(void) pcfg_hold_end(hold);
}

/* ----------------------------------------------------------------
 * the end
 * ----------------------------------------------------------------
 */

/*
 * Gives a connection at rest back, or destroys it where a transaction is open
 * or values would be misread.
 */
static void
give_back(PcfgHold *hold)
{
	PcfgTarget *target = hold->lease.target;
	bool		foreign = hold->acquired || hold->lease.needs_reset;

	if (hold->lost)
		return;
	pcfg_lease_give_back(&hold->lease,
						 hold->status == 'I' && !pcfg_styles_differ(&hold->lease.styles));
	/* this session, too, is to find nothing of what lived there */
	if (foreign)
		target->last.slot = PCFG_NONE;
}

bool
pcfg_hold_end(PcfgHold *hold)
{
	bool		rolled_back = !pcfg_hold_is_lost(hold) && hold->status != 'I';

	require_rest(hold);
	give_back(hold);
	destroy(hold);
	return rolled_back;
}

void
pcfg_hold_end_all(void)
{
	while (pcfg_holds != NULL)
	{
		give_back(pcfg_holds);
		destroy(pcfg_holds);
	}
}
