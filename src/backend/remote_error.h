/*-------------------------------------------------------------------------
 *
 * backend/remote_error.h
 *	  Errors and notices of a remote, as reports of ours.
 *
 * Floor 6; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_REMOTE_ERROR_H
#define PCFG_REMOTE_ERROR_H

#include "shared/compat.h"
#include "wire/message.h"

/* An ErrorResponse copied out of the receive buffer, in the current context. */
typedef struct PcfgRemoteError PcfgRemoteError;

/*
 * Copies the fields; text is made valid in the database encoding (a byte
 * that is not is replaced by '?').  Missing fields get defaults: SQLSTATE
 * XX000, "message not understood".  Never fails but for lack of memory.
 */
extern PcfgRemoteError *pcfg_remote_error_copy(const PcfgFrame *frame);

/* SQLSTATE of it, as MAKE_SQLSTATE packs it. */
extern int	pcfg_remote_error_sqlstate(const PcfgRemoteError *error);

/* Its primary message. */
extern const char *pcfg_remote_error_message(const PcfgRemoteError *error);

/*
 * Raises it with all its fields; the context names the target and, when the
 * statement is not NULL, shows it.  has_params: the values of parameters,
 * which a remote may be set to tell in its context, are left out.
 */
PCFG_NORETURN extern void pcfg_remote_error_throw(const PcfgRemoteError *error,
									const char *target, const char *statement,
									bool has_params);

/*
 * Reports a NoticeResponse at its severity (WARNING, NOTICE, INFO, DEBUG;
 * anything else as NOTICE), naming the target in the context.
 */
extern void pcfg_remote_notice_report(const PcfgFrame *frame, const char *target);

#endif							/* PCFG_REMOTE_ERROR_H */
