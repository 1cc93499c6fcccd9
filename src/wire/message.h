/*-------------------------------------------------------------------------
 *
 * wire/message.h
 *	  Messages of the frontend/backend protocol, version 3: framing,
 *	  bounded readers, writers.
 *
 * Floor 1; any process; no I/O, no allocation, no ereport, no server header.
 * Bytes of a peer are untrusted: every read is bounded by its message, every
 * string must have its terminator inside it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_WIRE_MESSAGE_H
#define PCFG_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/buffer.h"

/* A type byte and a length word of four bytes that counts itself. */
#define PCFG_FRAME_HEADER	5

/* Longest body that is believed: what the server's own allocator takes. */
#define PCFG_FRAME_MAX		((size_t) 0x3fffffff - 8)

typedef struct PcfgFrame
{
	char		type;
	const char *body;			/* points into the buffer, valid until it is
								 * compacted, moved or filled */
	size_t		len;			/* of the body */
} PcfgFrame;

typedef enum PcfgFrameResult
{
	PCFG_FRAME_OK,				/* one whole message */
	PCFG_FRAME_MORE,			/* receive more; *need says how many bytes the
								 * message takes in all (0: not known yet) */
	PCFG_FRAME_BAD				/* no protocol 3 message starts here */
} PcfgFrameResult;

/*
 * Takes the next whole message off the buffer and moves "parsed" past it.
 * A length below 4 or over PCFG_FRAME_MAX, or a type byte that no server
 * sends, is BAD.  Long messages are believed for D, T, E, N, A, C, d, S, v,
 * K, t, R only up to the limit; every other type is limited to 30,000 bytes,
 * as libpq does it, so that garbage is noticed before memory is spent.
 */
extern PcfgFrameResult pcfg_frame_next(PcfgBuffer *buf, PcfgFrame *frame,
									   size_t *need);

/* ---- reading fields of a body ---- */

typedef struct PcfgReader
{
	const char *next;
	const char *end;
	bool		failed;			/* something did not fit; sticky */
} PcfgReader;

extern void pcfg_reader_init(PcfgReader *r, const char *body, size_t len);

/* Each returns 0 / NULL and sets "failed" when the bytes are not there. */
extern uint8_t pcfg_read_byte(PcfgReader *r);
extern int16_t pcfg_read_int16(PcfgReader *r);
extern int32_t pcfg_read_int32(PcfgReader *r);
extern const char *pcfg_read_bytes(PcfgReader *r, size_t n);
extern const char *pcfg_read_string(PcfgReader *r);

/* What a RowDescription says of one column that matters to us. */
typedef struct PcfgColumn
{
	const char *name;			/* in the body */
	uint32_t	type;
	int32_t		typmod;
} PcfgColumn;

/* The next column of it, behind the count.  False when it is not all there. */
extern bool pcfg_read_column(PcfgReader *r, PcfgColumn *column);

/* A ParameterStatus; both in the body.  False if it is malformed. */
extern bool pcfg_read_parameter(const PcfgFrame *frame, const char **name,
								const char **value);

/*
 * Values as text are read exactly as long as the remote session writes them
 * with DateStyle ISO and IntervalStyle postgres.  Those of the two that it is
 * known to have otherwise.
 */
typedef struct PcfgStyles
{
	bool		dates;
	bool		intervals;
} PcfgStyles;

/* Takes note of a parameter, which may be any. */
extern void pcfg_styles_note(PcfgStyles *styles, const char *name, const char *value);

static inline bool
pcfg_styles_differ(const PcfgStyles *styles)
{
	return styles->dates || styles->intervals;
}

/* True when nothing failed and nothing is left over. */
extern bool pcfg_reader_done(const PcfgReader *r);

/*
 * The fields of an ErrorResponse or NoticeResponse.  A missing field is
 * NULL; an unknown field is passed over.  Returns false if the body is
 * malformed.  Strings point into the body.
 */
typedef struct PcfgFields
{
	const char *severity;		/* 'V' if sent, else 'S' */
	const char *sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	const char *position;
	const char *internal_position;
	const char *internal_query;
	const char *context;
	const char *schema;
	const char *table;
	const char *column;
	const char *datatype;
	const char *constraint;
} PcfgFields;

extern bool pcfg_read_fields(const PcfgFrame *frame, PcfgFields *fields);

/* ---- writing ---- */

typedef struct PcfgWriter
{
	char	   *data;			/* owned by the caller */
	size_t		used;
	size_t		size;
	size_t		start;			/* of the open message */
	bool		failed;			/* it did not fit, or a length went over the
								 * limit; sticky */
} PcfgWriter;

extern void pcfg_writer_init(PcfgWriter *w, char *data, size_t size);
extern void pcfg_write_begin(PcfgWriter *w, char type);
extern void pcfg_write_end(PcfgWriter *w);
extern void pcfg_write_byte(PcfgWriter *w, uint8_t v);
extern void pcfg_write_int16(PcfgWriter *w, int v);
extern void pcfg_write_int32(PcfgWriter *w, int32_t v);
extern void pcfg_write_bytes(PcfgWriter *w, const char *p, size_t n);
extern void pcfg_write_string(PcfgWriter *w, const char *s);

/* A parameter of a statement, as it travels. */
typedef struct PcfgWireParam
{
	uint32_t	type;			/* OID; 0 = the remote finds out */
	int16_t		format;			/* 0 = text, 1 = binary */
	int32_t		len;			/* bytes of the value; -1 = NULL */
	const char *value;			/* owned by the caller */
} PcfgWireParam;

/*
 * Whole frontend messages.  "name" is that of a prepared statement, "" the
 * unnamed one; the portal is always the unnamed one.
 */
extern void pcfg_write_parse(PcfgWriter *w, const char *name, const char *sql,
							 const PcfgWireParam *params, int nparams);
extern void pcfg_write_describe_statement(PcfgWriter *w, const char *name);

/* "nformats" result format codes (0 = all text, 1 = for all). */
extern void pcfg_write_bind(PcfgWriter *w, const char *name,
							const PcfgWireParam *params, int nparams,
							const int16_t *formats, int nformats);
extern void pcfg_write_execute(PcfgWriter *w);
extern void pcfg_write_close_statement(PcfgWriter *w, const char *name);
extern void pcfg_write_sync(PcfgWriter *w);
extern void pcfg_write_query(PcfgWriter *w, const char *sql);
extern void pcfg_write_copy_fail(PcfgWriter *w, const char *reason);

/* A statement without a name, parameters or results that matter. */
extern void pcfg_write_command(PcfgWriter *w, const char *sql);

/*
 * Upper bound in bytes of Parse + Describe + Bind + Execute + Sync for a
 * statement of sql_len bytes, with a name of name_len bytes.
 */
extern size_t pcfg_statement_bound(size_t name_len, size_t sql_len,
								   const PcfgWireParam *params, int nparams,
								   int nformats);

#endif							/* PCFG_WIRE_MESSAGE_H */
