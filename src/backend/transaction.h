/*-------------------------------------------------------------------------
 *
 * backend/transaction.h
 *	  Remote transactions that are joined to the local one.
 *
 * Floor 12; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_TRANSACTION_H
#define PCFG_TRANSACTION_H

#include "backend/hold.h"

/*
 * From now to the end of the local transaction, what the current role runs on
 * that target is one transaction there, begun with that statement when the
 * first one is run.  It commits just before the local one does, and is rolled
 * back with it; local subtransactions are savepoints.  Errors: those of a
 * lease; 25001 when another transaction is open on an acquired connection, or
 * this one was joined in another way.
 */
extern void pcfg_transaction_join(PcfgTarget *target, const char *begin);

#endif							/* PCFG_TRANSACTION_H */
