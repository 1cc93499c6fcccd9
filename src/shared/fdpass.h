/*-------------------------------------------------------------------------
 *
 * shared/fdpass.h
 *	  One packet and at most one descriptor over a unix socket.
 *
 * Floor 1; worker and backends; no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_FDPASS_H
#define PCFG_FDPASS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Sends one packet, with descriptor fd unless it is -1.  Never blocks.
 * Returns 0, or an errno: EAGAIN and ETOOMANYREFS mean "later".
 */
extern int	pcfg_packet_send(int sock, const void *data, size_t len, int fd);

/*
 * Receives one packet of at most size bytes.  Never blocks.  Returns its
 * length, 0 at end of file, or -1 with errno.  *fd is the one descriptor
 * that came with it (close-on-exec; the caller owns it), or -1.  *pid is the
 * sender's by the kernel's word if the socket has SO_PASSCRED, else 0 (may
 * be NULL).  A packet that was cut, carried more than one descriptor, or
 * whose descriptor could not be received (MSG_CTRUNC) fails with EPROTO or
 * EMFILE; whatever came with it is closed.
 */
extern ssize_t pcfg_packet_receive(int sock, void *data, size_t size,
								   int *fd, pid_t *pid);

/* A SOCK_SEQPACKET pair, close-on-exec and non-blocking.  0 or an errno. */
extern int	pcfg_packet_pair(int pair[2]);

#endif							/* PCFG_FDPASS_H */
