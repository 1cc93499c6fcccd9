/*-------------------------------------------------------------------------
 *
 * backend/checkout.h
 *	  Whether a connection that lay idle may be used.
 *
 * Floor 7; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CHECKOUT_H
#define PCFG_CHECKOUT_H

#include "backend/notifications.h"
#include "backend/sockets.h"
#include "shared/queue.h"

/*
 * A look at the socket itself, on every checkout: nothing to read is what an
 * idle connection has.  False on end of file, an error, or bytes that may
 * belong to somebody else's answer; what is harmless is read away.
 */
extern bool pcfg_socket_is_quiet(PcfgSocket *sock);

/*
 * The same for a connection that its session keeps and listens on: more may
 * have come, or be on its way still; notifications are kept unless NULL, and
 * *styles is what they are now.
 */
extern bool pcfg_socket_take_idle(PcfgSocket *sock, PcfgNotifications *notifications,
								  PcfgStyles *styles);

/*
 * A round trip without a statement, for a second at most and a quarter of
 * what is left until the deadline.  Meanwhile the neighbours of the
 * connection are put under suspicion and another one is dialled.  False when
 * no proper answer came; the connection is good for nothing then.  Errors:
 * interrupts.
 */
extern bool pcfg_socket_answers_ping(PcfgSocket *sock, const PcfgGrant *grant,
									 PcfgTime deadline);

/* When a ping that starts now is given up. */
extern PcfgTime pcfg_ping_limit(PcfgTime now, PcfgTime deadline);

/*
 * Waits for the answer to the ROLLBACK that the connection was left with, as
 * for that of a ping.  Notifications are kept unless NULL; *styles is what they
 * are now, and unless it is NULL they may be any.
 */
extern bool pcfg_socket_has_rolled_back(PcfgSocket *sock, const PcfgGrant *grant,
										PcfgNotifications *notifications,
										PcfgStyles *styles, PcfgTime limit);

#endif							/* PCFG_CHECKOUT_H */
