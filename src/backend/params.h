/*-------------------------------------------------------------------------
 *
 * backend/params.h
 *	  Arguments of an SQL call as the parameters of a remote statement.
 *
 * Floor 6; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_PARAMS_H
#define PCFG_PARAMS_H

#include "fmgr.h"

#include "wire/message.h"

/*
 * The arguments from number "first" on, of VARIADIC text[] or "any": *n
 * parameters in the current memory context, which may point into the
 * arguments themselves.
 *
 * Strings, and whatever is not the same on every server, travel as untyped
 * text, so that the remote finds out what they are to be; built-in types
 * travel typed, in binary where that is the same on every server.  Errors:
 * 22004 for VARIADIC NULL, 54023 too many, and those of output functions.
 */
extern PcfgWireParam *pcfg_wire_params_make(FunctionCallInfo fcinfo, int first, int *n);

/* The type that a parameter of a local type announces: its own, or 0. */
extern Oid	pcfg_wire_param_type(Oid type);

#endif							/* PCFG_PARAMS_H */
