/*-------------------------------------------------------------------------
 *
 * shared/control.h
 *	  Messages between a backend and the worker, and the inherited pair they
 *	  start on.
 *
 * Floor 3; worker and backends.
 *
 * The postmaster makes one SOCK_SEQPACKET pair at preload; all children
 * inherit it.  A backend makes a pair of its own and sends one end with its
 * HELLO through the inherited pair, the only message that carries a
 * descriptor upwards; all else goes over its own pair.  One message is one
 * packet.  End of file on a backend's pair is its death certificate.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CONTROL_H
#define PCFG_CONTROL_H

#include "postgres_ext.h"
#include "shared/shmem.h"

#define PCFG_CONTROL_VERSION	1
#define PCFG_CONTROL_MAX		65536	/* longest message */

typedef enum PcfgMessageType
{
	/* backend to worker */
	PCFG_MSG_HELLO = 1,			/* with one descriptor */
	PCFG_MSG_CREDENTIALS,		/* PcfgCredentials and its text */
	PCFG_MSG_FETCH,				/* PcfgSlotMessage: send me this connection */
	PCFG_MSG_CANCEL,			/* PcfgSlotMessage: stop what it is doing, then
								 * close it; "use" must be the current one */
	/* worker to backend */
	PCFG_MSG_SOCKET = 16,		/* PcfgSlotMessage, with one descriptor */
	PCFG_MSG_GONE				/* PcfgSlotMessage: no such connection now */
} PcfgMessageType;

typedef struct PcfgMessageHeader
{
	uint16		version;
	uint16		type;			/* PcfgMessageType */
	uint32		length;			/* of the whole message, this included */
} PcfgMessageHeader;

typedef struct PcfgHello
{
	PcfgMessageHeader header;
	unsigned char token[PCFG_TOKEN_LEN];
	int32		pid;			/* compared with the kernel's word */
	int32		procno;
} PcfgHello;

/*
 * What the worker needs to connect for a pool.  "text" holds nparams pairs
 * of keyword and value, each with its NUL: libpq keywords that are final
 * (nothing is added by the worker but hostaddr, and host by host), then
 * ninit statements to be run on each new connection.
 */
typedef struct PcfgCredentials
{
	PcfgMessageHeader header;
	int32		pool;
	uint32		serial;
	uint32		nparams;
	uint32		ninit;
	char		text[FLEXIBLE_ARRAY_MEMBER];
} PcfgCredentials;

typedef struct PcfgSlotMessage
{
	PcfgMessageHeader header;
	int32		slot;
	uint32		generation;
	uint64		use;			/* of the lease, as in the state word */
} PcfgSlotMessage;

/*
 * The inherited pair, -1 before pcfg_control_create.  The worker reads
 * [0]; backends write [1].
 */
extern int	pcfg_control_pair[2];

/* In the postmaster, at preload.  Close-on-exec, non-blocking, credentials
 * passed to [0].  FATAL when the system refuses. */
extern void pcfg_control_create(void);

#endif							/* PCFG_CONTROL_H */
