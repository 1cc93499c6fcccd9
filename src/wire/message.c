/*-------------------------------------------------------------------------
 *
 * wire/message.c
 *	  Messages of the frontend/backend protocol, version 3: framing,
 *	  bounded readers, writers.
 *
 * Floor 1; any process; no I/O, no allocation, no ereport, no server header.
 *
 *-------------------------------------------------------------------------
 */
#include "wire/message.h"

#include <string.h>

/* Longest body of a message that has no reason to be long; as in libpq. */
#define SHORT_MAX	((size_t) 30000)

/* ---- framing ---- */

static uint32_t
load_uint32(const char *p)
{
	const unsigned char *u = (const unsigned char *) p;

	return (uint32_t) u[0] << 24 | (uint32_t) u[1] << 16 |
		(uint32_t) u[2] << 8 | (uint32_t) u[3];
}

/* The longest body that a message of that type may have; 0 = no such type. */
static size_t
longest_body(char type)
{
	switch (type)
	{
		case 'D':
		case 'T':
		case 'E':
		case 'N':
		case 'A':
		case 'C':
		case 'd':
		case 'S':
		case 'v':
		case 'K':
		case 't':
		case 'R':
			return PCFG_FRAME_MAX;
		case '1':
		case '2':
		case '3':
		case 'G':
		case 'H':
		case 'I':
		case 'V':
		case 'W':
		case 'Z':
		case 'c':
		case 'n':
		case 's':
			return SHORT_MAX;
		default:
			return 0;
	}
}

PcfgFrameResult
pcfg_frame_next(PcfgBuffer *buf, PcfgFrame *frame, size_t *need)
{
	const char *p = buf->data + buf->parsed;
	size_t		have = buf->filled - buf->parsed;
	size_t		limit;
	size_t		len;

	*need = 0;
	if (have == 0)
		return PCFG_FRAME_MORE;
	limit = longest_body(p[0]);
	if (limit == 0)
		return PCFG_FRAME_BAD;
	if (have < PCFG_FRAME_HEADER)
		return PCFG_FRAME_MORE;
	len = load_uint32(p + 1);
	if (len < 4 || len - 4 > limit)
		return PCFG_FRAME_BAD;
	if (have < len + 1)
	{
		*need = len + 1;
		return PCFG_FRAME_MORE;
	}
	frame->type = p[0];
	frame->body = p + PCFG_FRAME_HEADER;
	frame->len = len - 4;
	buf->parsed += len + 1;
	return PCFG_FRAME_OK;
}

/* ---- reading ---- */

void
pcfg_reader_init(PcfgReader *r, const char *body, size_t len)
{
	r->next = body;
	r->end = body + len;
	r->failed = false;
}

const char *
pcfg_read_bytes(PcfgReader *r, size_t n)
{
	const char *p = r->next;

	if (r->failed || (size_t) (r->end - r->next) < n)
	{
		r->failed = true;
		return NULL;
	}
	r->next += n;
	return p;
}

uint8_t
pcfg_read_byte(PcfgReader *r)
{
	const char *p = pcfg_read_bytes(r, 1);

	return p != NULL ? (uint8_t) *p : 0;
}

int16_t
pcfg_read_int16(PcfgReader *r)
{
	const unsigned char *p = (const unsigned char *) pcfg_read_bytes(r, 2);

	return p != NULL ? (int16_t) (uint16_t) (p[0] << 8 | p[1]) : 0;
}

int32_t
pcfg_read_int32(PcfgReader *r)
{
	const char *p = pcfg_read_bytes(r, 4);

	return p != NULL ? (int32_t) load_uint32(p) : 0;
}

const char *
pcfg_read_string(PcfgReader *r)
{
	const char *p = r->next;
	const char *nul;

	if (r->failed)
		return NULL;
	nul = memchr(p, '\0', (size_t) (r->end - p));
	if (nul == NULL)
	{
		r->failed = true;
		return NULL;
	}
	r->next = nul + 1;
	return p;
}

bool
pcfg_read_column(PcfgReader *r, PcfgColumn *column)
{
	column->name = pcfg_read_string(r);
	(void) pcfg_read_int32(r);	/* table */
	(void) pcfg_read_int16(r);	/* its column */
	column->type = (uint32_t) pcfg_read_int32(r);
	(void) pcfg_read_int16(r);	/* length */
	column->typmod = pcfg_read_int32(r);
	(void) pcfg_read_int16(r);	/* format */
	return !r->failed;
}

bool
pcfg_reader_done(const PcfgReader *r)
{
	return !r->failed && r->next == r->end;
}

bool
pcfg_read_parameter(const PcfgFrame *frame, const char **name, const char **value)
{
	PcfgReader	r;

	pcfg_reader_init(&r, frame->body, frame->len);
	*name = pcfg_read_string(&r);
	*value = pcfg_read_string(&r);
	return pcfg_reader_done(&r);
}

void
pcfg_styles_note(PcfgStyles *styles, const char *name, const char *value)
{
	if (strcmp(name, "DateStyle") == 0)
		styles->dates = strncmp(value, "ISO", 3) != 0;
	else if (strcmp(name, "IntervalStyle") == 0)
		styles->intervals = strcmp(value, "postgres") != 0;
}

bool
pcfg_read_fields(const PcfgFrame *frame, PcfgFields *fields)
{
	const char *localized = NULL;
	PcfgReader	r;

	memset(fields, 0, sizeof(*fields));
	pcfg_reader_init(&r, frame->body, frame->len);
	for (;;)
	{
		uint8_t		code = pcfg_read_byte(&r);
		const char *text;

		if (code == 0)
			break;
		text = pcfg_read_string(&r);
		if (text == NULL)
			break;
		switch (code)
		{
			case 'S':
				localized = text;
				break;
			case 'V':
				fields->severity = text;
				break;
			case 'C':
				fields->sqlstate = text;
				break;
			case 'M':
				fields->message = text;
				break;
			case 'D':
				fields->detail = text;
				break;
			case 'H':
				fields->hint = text;
				break;
			case 'P':
				fields->position = text;
				break;
			case 'p':
				fields->internal_position = text;
				break;
			case 'q':
				fields->internal_query = text;
				break;
			case 'W':
				fields->context = text;
				break;
			case 's':
				fields->schema = text;
				break;
			case 't':
				fields->table = text;
				break;
			case 'c':
				fields->column = text;
				break;
			case 'd':
				fields->datatype = text;
				break;
			case 'n':
				fields->constraint = text;
				break;
			default:
				break;
		}
	}
	if (fields->severity == NULL)
		fields->severity = localized;
	return pcfg_reader_done(&r);
}

/* ---- writing ---- */

void
pcfg_writer_init(PcfgWriter *w, char *data, size_t size)
{
	w->data = data;
	w->size = size;
	w->used = w->start = 0;
	w->failed = false;
}

void
pcfg_write_bytes(PcfgWriter *w, const char *p, size_t n)
{
	if (w->failed || w->size - w->used < n)
	{
		w->failed = true;
		return;
	}
	memcpy(w->data + w->used, p, n);
	w->used += n;
}

void
pcfg_write_byte(PcfgWriter *w, uint8_t v)
{
	char		c = (char) v;

	pcfg_write_bytes(w, &c, 1);
}

void
pcfg_write_int16(PcfgWriter *w, int v)
{
	char		b[2];

	if (v < INT16_MIN || v > UINT16_MAX)
	{
		w->failed = true;
		return;
	}
	b[0] = (char) ((unsigned) v >> 8 & 0xff);
	b[1] = (char) ((unsigned) v & 0xff);
	pcfg_write_bytes(w, b, sizeof(b));
}

static void
store_uint32(char *p, uint32_t v)
{
	p[0] = (char) (v >> 24 & 0xff);
	p[1] = (char) (v >> 16 & 0xff);
	p[2] = (char) (v >> 8 & 0xff);
	p[3] = (char) (v & 0xff);
}

void
pcfg_write_int32(PcfgWriter *w, int32_t v)
{
	char		b[4];

	store_uint32(b, (uint32_t) v);
	pcfg_write_bytes(w, b, sizeof(b));
}

void
pcfg_write_string(PcfgWriter *w, const char *s)
{
	pcfg_write_bytes(w, s, strlen(s) + 1);
}

void
pcfg_write_begin(PcfgWriter *w, char type)
{
	w->start = w->used;
	pcfg_write_byte(w, (uint8_t) type);
	pcfg_write_int32(w, 0);
}

void
pcfg_write_end(PcfgWriter *w)
{
	size_t		len = w->used - w->start - 1;

	if (w->failed || len - 4 > PCFG_FRAME_MAX)
	{
		w->failed = true;
		return;
	}
	store_uint32(w->data + w->start + 1, (uint32_t) len);
}

void
pcfg_write_parse(PcfgWriter *w, const char *name, const char *sql,
				 const PcfgWireParam *params, int nparams)
{
	int			i;

	pcfg_write_begin(w, 'P');
	pcfg_write_string(w, name);
	pcfg_write_string(w, sql);
	pcfg_write_int16(w, nparams);
	for (i = 0; i < nparams; i++)
		pcfg_write_int32(w, (int32_t) params[i].type);
	pcfg_write_end(w);
}

void
pcfg_write_describe_statement(PcfgWriter *w, const char *name)
{
	pcfg_write_begin(w, 'D');
	pcfg_write_byte(w, 'S');
	pcfg_write_string(w, name);
	pcfg_write_end(w);
}

void
pcfg_write_bind(PcfgWriter *w, const char *name,
				const PcfgWireParam *params, int nparams,
				const int16_t *formats, int nformats)
{
	int			i;

	pcfg_write_begin(w, 'B');
	pcfg_write_string(w, "");
	pcfg_write_string(w, name);
	pcfg_write_int16(w, nparams);
	for (i = 0; i < nparams; i++)
		pcfg_write_int16(w, params[i].format);
	pcfg_write_int16(w, nparams);
	for (i = 0; i < nparams; i++)
	{
		pcfg_write_int32(w, params[i].len);
		if (params[i].len > 0)
			pcfg_write_bytes(w, params[i].value, (size_t) params[i].len);
	}
	pcfg_write_int16(w, nformats);
	for (i = 0; i < nformats; i++)
		pcfg_write_int16(w, formats[i]);
	pcfg_write_end(w);
}

void
pcfg_write_execute(PcfgWriter *w)
{
	pcfg_write_begin(w, 'E');
	pcfg_write_string(w, "");
	pcfg_write_int32(w, 0);
	pcfg_write_end(w);
}

void
pcfg_write_close_statement(PcfgWriter *w, const char *name)
{
	pcfg_write_begin(w, 'C');
	pcfg_write_byte(w, 'S');
	pcfg_write_string(w, name);
	pcfg_write_end(w);
}

void
pcfg_write_sync(PcfgWriter *w)
{
	pcfg_write_begin(w, 'S');
	pcfg_write_end(w);
}

void
pcfg_write_query(PcfgWriter *w, const char *sql)
{
	pcfg_write_begin(w, 'Q');
	pcfg_write_string(w, sql);
	pcfg_write_end(w);
}

void
pcfg_write_copy_fail(PcfgWriter *w, const char *reason)
{
	pcfg_write_begin(w, 'f');
	pcfg_write_string(w, reason);
	pcfg_write_end(w);
}

void
pcfg_write_command(PcfgWriter *w, const char *sql)
{
	pcfg_write_parse(w, "", sql, NULL, 0);
	pcfg_write_bind(w, "", NULL, 0, NULL, 0);
	pcfg_write_execute(w);
}

size_t
pcfg_statement_bound(size_t name_len, size_t sql_len,
					 const PcfgWireParam *params, int nparams, int nformats)
{
	/* five headers; Parse 4, Describe 2, Bind 8, Execute 5; rounded up */
	size_t		bound = sql_len + 3 * name_len + 2 * (size_t) nformats + 64;
	int			i;

	/* a type, a format, a length, and the value */
	for (i = 0; i < nparams; i++)
		bound += 10 + (params[i].len > 0 ? (size_t) params[i].len : 0);
	return bound;
}
