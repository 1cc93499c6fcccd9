/*-------------------------------------------------------------------------
 *
 * shared/slot_state.c
 *	  The table of a slot's states and moves.
 *
 * Floor 0; any process; no server header.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/slot_state.h"

#include <stddef.h>

#define MOVE(from, to, mover, reason) \
	{PCFG_SLOT_##from, PCFG_SLOT_##to, PCFG_BY_##mover, reason},

const PcfgMove pcfg_moves[] = {
#include "shared/slot_moves.def"
};

const int	pcfg_nmoves = sizeof(pcfg_moves) / sizeof(pcfg_moves[0]);

/*
 * Whether that mover may make that move.
 */
bool
pcfg_move_is_legal(PcfgSlotState from, PcfgSlotState to, PcfgMover mover)
{
	int			i;

	for (i = 0; i < pcfg_nmoves; i++)
	{
		if (pcfg_moves[i].from == from && pcfg_moves[i].to == to &&
			(pcfg_moves[i].movers & mover) != 0)
			return true;
	}
	return false;
}

/*
 * The state's name as the views show it.
 */
const char *
pcfg_slot_state_name(PcfgSlotState state)
{
	switch (state)
	{
		case PCFG_SLOT_EMPTY:
			return "empty";
		case PCFG_SLOT_CONNECTING:
			return "connecting";
		case PCFG_SLOT_IDLE:
			return "idle";
		case PCFG_SLOT_LEASED:
			return "in use";
		case PCFG_SLOT_CONDEMNED:
			return "closing";
	}
	return "unknown";
}
