/*-------------------------------------------------------------------------
 *
 * wire/buffer.h
 *	  Bytes received from a peer, split by three marks.
 *
 * Floor 0; any process; no I/O, no allocation, no server header.
 *
 *		data      consumed        parsed          filled           size
 *		  |  dead    |  seen whole  |  not looked at |   free        |
 *
 * Invariant: consumed <= parsed <= filled <= size.  The caller owns the
 * memory behind "data" and may replace it by a larger one when nothing
 * points into it (pcfg_buffer_move).
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_WIRE_BUFFER_H
#define PCFG_WIRE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct PcfgBuffer
{
	char	   *data;			/* owned by the caller */
	size_t		consumed;		/* bytes before this are dead */
	size_t		parsed;			/* bytes before this were handed out as frames */
	size_t		filled;			/* bytes before this came from the peer */
	size_t		size;			/* bytes that fit */
} PcfgBuffer;

/* Starts an empty buffer over "size" bytes at "data". */
extern void pcfg_buffer_init(PcfgBuffer *buf, char *data, size_t size);

/* True when the invariant above holds. */
extern bool pcfg_buffer_is_sane(const PcfgBuffer *buf);

/* Where the next received bytes go, and how many fit there. */
extern char *pcfg_buffer_space(const PcfgBuffer *buf, size_t *room);

/* Takes note of n bytes written at pcfg_buffer_space(); n <= room. */
extern void pcfg_buffer_filled(PcfgBuffer *buf, size_t n);

/* Declares everything parsed so far dead. */
extern void pcfg_buffer_consume(PcfgBuffer *buf);

/* Moves the live bytes to the front.  Frames handed out before are void. */
extern void pcfg_buffer_compact(PcfgBuffer *buf);

/*
 * Moves the live bytes to new memory of "size" bytes (at least the live
 * ones); the caller frees the old memory, which it had kept.
 */
extern void pcfg_buffer_move(PcfgBuffer *buf, char *data, size_t size);

#endif							/* PCFG_WIRE_BUFFER_H */
