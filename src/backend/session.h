/*-------------------------------------------------------------------------
 *
 * backend/session.h
 *	  One statement on a leased connection: send, wait, deliver.
 *
 * Floor 11; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SESSION_H
#define PCFG_SESSION_H

#include "backend/run.h"

/* What holds for every use of a remote connection: errors 55000, 25000. */
extern void pcfg_session_require_usable(void);

/*
 * Leases a connection of the target, runs the statement, gives the
 * connection back.  rows NULL: rows are discarded.  Errors: those of the
 * lease; the remote's, with all fields (the connection lives on if it is
 * provably idle); 08006 connection lost, outcome unknown; 08P01 protocol
 * violation; 57014 on cancel or command_timeout; interrupts.  Whatever
 * happens, the connection is either back and clean, or condemned.
 */
extern void pcfg_session_run(PcfgTarget *target, const PcfgStatement *statement,
							 PcfgRows *rows, PcfgOutcome *outcome);

#endif							/* PCFG_SESSION_H */
