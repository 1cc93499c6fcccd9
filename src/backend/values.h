/*-------------------------------------------------------------------------
 *
 * backend/values.h
 *	  One value as it came over the wire into a Datum.
 *
 * Floor 3; backends; no network.
 *
 * Only a type that is the same built-in on both sides is read as such in
 * binary; binary values of another built-in type go through that type's own
 * functions and text.  Values are untrusted: lengths are checked exactly,
 * text is verified in the database encoding, which is the connection's
 * client_encoding.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_VALUES_H
#define PCFG_VALUES_H

#include "fmgr.h"
#include "lib/stringinfo.h"

#define PCFG_FORMAT_TEXT	0
#define PCFG_FORMAT_BINARY	1

typedef enum PcfgDecoder
{
	/* binary, of the same type on both sides */
	PCFG_DECODE_BOOL,
	PCFG_DECODE_INT2,
	PCFG_DECODE_INT4,
	PCFG_DECODE_OID,
	PCFG_DECODE_INT8,
	PCFG_DECODE_FLOAT4,
	PCFG_DECODE_FLOAT8,
	PCFG_DECODE_DATE,
	PCFG_DECODE_TIMESTAMP,		/* with and without time zone */
	PCFG_DECODE_UUID,
	PCFG_DECODE_BYTEA,
	PCFG_DECODE_RECEIVE,		/* by the type's receive function */

	/* text, varchar, bpchar, as they come: the same bytes in both formats */
	PCFG_DECODE_CHARACTERS,

	/* text */
	PCFG_DECODE_TEXT_INT4,
	PCFG_DECODE_TEXT_INT8,
	PCFG_DECODE_INPUT,			/* by the local type's input function */

	/* binary of another built-in type: over that type's text form */
	PCFG_DECODE_CONVERT,
	PCFG_DECODE_CONVERT_FLOAT4,
	PCFG_DECODE_CONVERT_FLOAT8
} PcfgDecoder;

/* How the values of one column are read. */
typedef struct PcfgValueReader
{
	PcfgDecoder decoder;
	Oid			type;			/* local */
	int32		typmod;
	MemoryContext context;		/* of the reader and "scratch" */
	StringInfo	scratch;		/* one value with a NUL behind it; may be shared
								 * by the columns of a row */

	/* valid where the decoder calls them */
	FmgrInfo	input;
	Oid			input_param;
	FmgrInfo	receive;
	Oid			receive_param;
	FmgrInfo	output;
} PcfgValueReader;

/*
 * The format in which values of a local type would best travel.  known: the
 * other side's type is known to be the same.
 */
extern int16 pcfg_value_format(Oid type, int32 typmod, bool known);

/* A type (regclass ...) whose values are objects of the server itself. */
extern bool pcfg_value_is_name_of_object(Oid type);

/*
 * Prepares to read a remote column of type "remote_type", asked for in that
 * format, as reader->type; type, typmod, context and scratch are set.  False
 * when that cannot be: a binary value of a type that is not the same on
 * every server.
 */
extern bool pcfg_value_plan(PcfgValueReader *reader, Oid remote_type, int16 format);

/*
 * Reads a value into the current memory context.  Errors: 22P03 wrong
 * length, 22021 wrong encoding, and those of the types' functions.
 */
extern Datum pcfg_value_read(PcfgValueReader *reader, const char *value, int len);

/* For NULL: domains may refuse it. */
extern void pcfg_value_check_null(PcfgValueReader *reader);

#endif							/* PCFG_VALUES_H */
