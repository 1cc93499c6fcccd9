/*-------------------------------------------------------------------------
 *
 * shared/slot_state.h
 *	  The states of a slot, the moves between them and who may make each, as
 *	  data; and the packing of the state word.
 *
 * Floor 0; any process; no server header.  The C code asserts its moves
 * against pcfg_moves, and the exhaustive model of the tests reads the same
 * table, slot_moves.def.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SLOT_STATE_H
#define PCFG_SLOT_STATE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum PcfgSlotState
{
	PCFG_SLOT_EMPTY,			/* no connection, belongs to no pool */
	PCFG_SLOT_CONNECTING,		/* reserved for a pool; the worker dials */
	PCFG_SLOT_IDLE,				/* connected, nobody uses it */
	PCFG_SLOT_LEASED,			/* one process uses it: the word names it */
	PCFG_SLOT_CONDEMNED			/* to be closed by the worker, by nobody used */
} PcfgSlotState;

/* Who makes a move. */
typedef enum PcfgMover
{
	PCFG_BY_WORKER = 1,			/* the worker only */
	PCFG_BY_HOLDER = 2,			/* the process that the word names */
	PCFG_BY_LOCK = 4			/* whoever holds the pool's lock */
} PcfgMover;

typedef struct PcfgMove
{
	PcfgSlotState from;
	PcfgSlotState to;
	int			movers;			/* PcfgMover bits */
	const char *reason;
} PcfgMove;

extern const PcfgMove pcfg_moves[];
extern const int pcfg_nmoves;

extern bool pcfg_move_is_legal(PcfgSlotState from, PcfgSlotState to, PcfgMover mover);
extern const char *pcfg_slot_state_name(PcfgSlotState state);

/*
 * The state word: state:7 | condemn:1 | owner:18 | use:38.
 *
 * "owner" is 1 + the process number of the holder, 0 when nobody holds it.
 * "use" rises at each lease and at each replacement of the connection and
 * never falls: a word equal to the one that a session left at its last
 * give-back proves that nobody has used the connection since.
 */
#define PCFG_WORD_STATE_SHIFT	57
#define PCFG_WORD_CONDEMN		(UINT64_C(1) << 56)
#define PCFG_WORD_OWNER_SHIFT	38
#define PCFG_WORD_OWNER_MASK	((UINT64_C(1) << 18) - 1)
#define PCFG_WORD_USE_MASK		((UINT64_C(1) << 38) - 1)

static inline uint64_t
pcfg_word(PcfgSlotState state, uint32_t owner, uint64_t use)
{
	return (uint64_t) state << PCFG_WORD_STATE_SHIFT |
		((uint64_t) owner & PCFG_WORD_OWNER_MASK) << PCFG_WORD_OWNER_SHIFT |
		(use & PCFG_WORD_USE_MASK);
}

static inline PcfgSlotState
pcfg_word_state(uint64_t word)
{
	return (PcfgSlotState) (word >> PCFG_WORD_STATE_SHIFT);
}

static inline bool
pcfg_word_condemned(uint64_t word)
{
	return (word & PCFG_WORD_CONDEMN) != 0;
}

static inline uint32_t
pcfg_word_owner(uint64_t word)
{
	return (uint32_t) (word >> PCFG_WORD_OWNER_SHIFT & PCFG_WORD_OWNER_MASK);
}

static inline uint64_t
pcfg_word_use(uint64_t word)
{
	return word & PCFG_WORD_USE_MASK;
}

#endif							/* PCFG_SLOT_STATE_H */
