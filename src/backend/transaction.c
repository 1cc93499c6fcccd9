/*-------------------------------------------------------------------------
 *
 * backend/transaction.c
 *	  Remote transactions that are joined to the local one.
 *
 * Floor 12; backends.
 *
 * The end of a subtransaction is only noted (savepoints.c), and a local abort
 * sends one ROLLBACK whose answer somebody else reads (pcfg_lease_roll_back):
 * the error path waits for nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "access/xact.h"
#include "backend/commit.h"
#include "backend/transaction.h"

/* ----------------------------------------------------------------
 * with the local transaction
 * ----------------------------------------------------------------
 */

static void
refuse_prepare(void)
{
	PcfgHold   *hold;

	for (hold = pcfg_holds; hold != NULL; hold = hold->next)
	{
		if (hold->joined)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that one on target \"%s\" is joined to",
							hold->name),
					 errhint("Use COMMIT; or run PREPARE TRANSACTION on each server yourself, over acquire().")));
	}
}

static void
part_all(void)
{
	PcfgHold   *hold;
	PcfgHold   *next;

	for (hold = pcfg_holds; hold != NULL; hold = next)
	{
		next = hold->next;
		if (hold->joined)
			pcfg_hold_part(hold);
	}
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			pcfg_commit_joined();
			break;
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			part_all();
			break;
		default:
			break;
	}
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	PcfgHold   *hold;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (hold = pcfg_holds; hold != NULL; hold = hold->next)
	{
		if (hold->joined)
			pcfg_savepoints_end(&hold->savepoints, GetCurrentTransactionNestLevel(),
								event == SUBXACT_EVENT_COMMIT_SUB);
	}
}

static void
watch(void)
{
	static bool watching = false;

	if (watching)
		return;
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
	watching = true;
}

/* Whether there is a transaction that could be joined, and is not. */
static bool
may_join(PcfgHold *hold, const PcfgTarget *target, const char *begin)
{
	if (hold->joined)
	{
		if (strcmp(hold->begin, begin) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
					 errmsg("a transaction on target \"%s\" is joined already, in another way",
							hold->name),
					 errdetail("It was joined with: %s.", hold->begin)));
		return false;
	}
	pcfg_hold_begin(hold, target);
	pcfg_hold_rest(hold, hold->status);
	if (hold->status != 'I')
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("a transaction is open on the acquired connection to target \"%s\"",
						hold->name),
				 errhint("End it with exec(..., 'commit') or exec(..., 'rollback') first.")));
	return true;
}

void
pcfg_transaction_join(PcfgTarget *target, const char *begin)
{
	PcfgHold   *hold = pcfg_hold_find(target);

	watch();
	if (hold == NULL)
		hold = pcfg_hold_take(target);
	else if (!may_join(hold, target, begin))
		return;
	pcfg_hold_join(hold, begin);
}
