/*-------------------------------------------------------------------------
 *
 * shared/trace.h
 *	  In a test build: the last moves of each slot, to be checked afterwards.
 *
 * Floor 1; worker and backends; nothing of it is left in other builds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_TRACE_H
#define PCFG_TRACE_H

#ifdef PCFG_FAILPOINTS

/* Bytes for so many slots, and where they stand, all zero at first. */
extern Size pcfg_trace_size(int nslots);
extern void pcfg_trace_place(void *space, int nslots);

/*
 * A slot moved from one state word to another; "by" is the owner field of the
 * process that moved it, mover what it did that as (PcfgMover).
 */
extern void pcfg_trace_note(int slot, uint64 from, uint64 to, uint32 by, int mover);

/*
 * Writes all to the file "slot_moves" in the data directory, the oldest of
 * each slot first: slot, from, to, by, mover.
 */
extern void pcfg_trace_write(void);

#else

#define pcfg_trace_size(nslots)					((Size) 0)
#define pcfg_trace_place(space, nslots)			((void) (space))
#define pcfg_trace_note(slot, from, to, by, mover)	((void) 0)
#define pcfg_trace_write()						((void) 0)

#endif

#endif							/* PCFG_TRACE_H */
