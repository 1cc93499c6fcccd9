/*-------------------------------------------------------------------------
 *
 * worker/relay.h
 *	  A TLS connection lent to backends: the worker keeps libpq's connection
 *	  and pumps bytes between its SSL object and one end of a socket pair.
 *
 * Floor 7; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_RELAY_H
#define PCFG_RELAY_H

#include <libpq-fe.h>
#include <stdbool.h>

typedef struct PcfgRelay PcfgRelay;

/* Descriptors of one relayed connection: libpq's, and both ends of the pair. */
#define PCFG_RELAY_FDS	3

/*
 * Takes over a finished connection that uses TLS and is non-blocking; libpq
 * must not be called on it any more.  *lent is the end for the holders,
 * close-on-exec and non-blocking; it is the caller's to close, before or
 * after the relay.  It behaves as a plain connection's socket would: the end
 * of the remote, with or without close_notify, is an end of file behind all
 * that came before it.  NULL, and conn still the caller's, when the system
 * refuses; errno says why, or is 0 when libpq uses no OpenSSL.
 */
extern PcfgRelay *pcfg_relay_start(PGconn *conn, int *lent);

/*
 * Sends bytes for the process that holds the other end, which sleeps: it is
 * woken by the first bytes of the answer, or by the end.  False, and nothing
 * done, while bytes are under way in either direction.
 */
extern bool pcfg_relay_is_quiet(const PcfgRelay *relay);
extern void pcfg_relay_send(PcfgRelay *relay, const char *data, size_t len, int procno);

/* Wakes it now; harmless when nobody sleeps. */
extern void pcfg_relay_wake(PcfgRelay *relay);

/*
 * Closes the connection to the remote.  polite: the protocol's own goodbye
 * and close_notify are sent, for nobody can have left half a message.
 */
extern void pcfg_relay_close(PcfgRelay *relay, bool polite);

#endif							/* PCFG_RELAY_H */
