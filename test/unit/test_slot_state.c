/*
 * test_slot_state.c
 *	  The table of a slot's moves and the packing of its word.
 */
#include "shared/slot_state.h"
#include "tap.h"

static void
test_moves(void)
{
	/* the drawing of src/README.md, by hand: from, to, mover */
	static const int legal[][3] = {
		{PCFG_SLOT_EMPTY, PCFG_SLOT_CONNECTING, PCFG_BY_LOCK},
		{PCFG_SLOT_CONNECTING, PCFG_SLOT_IDLE, PCFG_BY_WORKER},
		{PCFG_SLOT_CONNECTING, PCFG_SLOT_EMPTY, PCFG_BY_WORKER},
		{PCFG_SLOT_IDLE, PCFG_SLOT_LEASED, PCFG_BY_LOCK},
		{PCFG_SLOT_IDLE, PCFG_SLOT_CONDEMNED, PCFG_BY_LOCK},
		{PCFG_SLOT_LEASED, PCFG_SLOT_IDLE, PCFG_BY_HOLDER},
		{PCFG_SLOT_LEASED, PCFG_SLOT_CONDEMNED, PCFG_BY_HOLDER},
		{PCFG_SLOT_LEASED, PCFG_SLOT_CONDEMNED, PCFG_BY_WORKER},
		{PCFG_SLOT_CONDEMNED, PCFG_SLOT_EMPTY, PCFG_BY_WORKER},
	};
	int			n = (int) (sizeof(legal) / sizeof(legal[0]));
	int			wrong = 0;
	int			from;
	int			to;
	int			mover;

	for (from = PCFG_SLOT_EMPTY; from <= PCFG_SLOT_CONDEMNED; from++)
		for (to = PCFG_SLOT_EMPTY; to <= PCFG_SLOT_CONDEMNED; to++)
			for (mover = PCFG_BY_WORKER; mover <= PCFG_BY_LOCK; mover *= 2)
			{
				bool		expected = false;
				int			i;

				for (i = 0; i < n; i++)
					expected |= legal[i][0] == from && legal[i][1] == to && legal[i][2] == mover;
				if (pcfg_move_is_legal(from, to, mover) != expected)
					wrong++;
			}
	ok(pcfg_nmoves == n, "the table has %d moves", n);
	ok(wrong == 0, "exactly the moves of the drawing are legal");
}

static void
test_word(void)
{
	uint64_t	last_use = PCFG_WORD_USE_MASK;
	uint32_t	last_owner = (uint32_t) PCFG_WORD_OWNER_MASK;
	uint64_t	word = pcfg_word(PCFG_SLOT_CONDEMNED, last_owner, last_use);

	ok(pcfg_word_state(word) == PCFG_SLOT_CONDEMNED && pcfg_word_owner(word) == last_owner &&
	   pcfg_word_use(word) == last_use && !pcfg_word_condemned(word),
	   "the largest values keep to their places");
	word |= PCFG_WORD_CONDEMN;
	ok(pcfg_word_condemned(word) && pcfg_word_state(word) == PCFG_SLOT_CONDEMNED &&
	   pcfg_word_owner(word) == last_owner && pcfg_word_use(word) == last_use,
	   "the condemn bit changes nothing else");
	ok(pcfg_word(PCFG_SLOT_IDLE, 0, last_use + 1) == pcfg_word(PCFG_SLOT_IDLE, 0, 0),
	   "a use number over the limit does not reach the owner");
	ok(pcfg_word(PCFG_SLOT_IDLE, last_owner + 1, 7) == pcfg_word(PCFG_SLOT_IDLE, 0, 7),
	   "an owner over the limit does not reach the state");
	ok(pcfg_word(PCFG_SLOT_LEASED, 1, 5) != pcfg_word(PCFG_SLOT_LEASED, 2, 5) &&
	   pcfg_word(PCFG_SLOT_LEASED, 1, 5) != pcfg_word(PCFG_SLOT_LEASED, 1, 6),
	   "owner and use tell words apart");
}

int
main(void)
{
	test_moves();
	test_word();
	return tap_done();
}
