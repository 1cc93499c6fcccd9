/*
 * test_message.c
 *	  Buffers, framing, readers and writers: every bound.
 */
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "wire/message.h"

static void
put32(char *p, uint32_t v)
{
	p[0] = (char) (v >> 24);
	p[1] = (char) (v >> 16);
	p[2] = (char) (v >> 8);
	p[3] = (char) v;
}

/* What becomes of a header with that type and length word. */
static PcfgFrameResult
header(char type, uint32_t len, size_t *need)
{
	char		bytes[5];
	PcfgBuffer	buf;
	PcfgFrame	frame;

	bytes[0] = type;
	put32(bytes + 1, len);
	pcfg_buffer_init(&buf, bytes, sizeof(bytes));
	pcfg_buffer_filled(&buf, sizeof(bytes));
	return pcfg_frame_next(&buf, &frame, need);
}

static void
test_lengths(void)
{
	static const uint32_t bad[] = {0, 1, 2, 3, 0x40000000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
	int			wrong = 0;
	int			c;
	size_t		need;
	size_t		i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		wrong += header('D', bad[i], &need) != PCFG_FRAME_BAD;
	ok(wrong == 0, "sec_S31: lengths below 4 or beyond all memory are bad");
	ok(header('D', (uint32_t) PCFG_FRAME_MAX + 4, &need) == PCFG_FRAME_MORE &&
	   need == PCFG_FRAME_MAX + 5, "the longest row is believed, and its size told");
	ok(header('Z', 30004, &need) == PCFG_FRAME_MORE && header('Z', 30005, &need) == PCFG_FRAME_BAD,
	   "a message without reason to be long is limited");
	for (wrong = 0, c = 0; c < 256; c++)
	{
		bool		known = c != 0 && strchr("DTENACdSvKtR123GHIVWZcns", c) != NULL;

		wrong += (header((char) c, 5, &need) != PCFG_FRAME_BAD) != known;
	}
	ok(wrong == 0, "exactly the types that a server sends are messages");
}

static void
test_buffer(void)
{
	char		memory[16];
	char		other[32];
	char	   *space;
	size_t		room;
	PcfgBuffer	buf;
	PcfgFrame	frame;
	size_t		need;

	pcfg_buffer_init(&buf, memory, sizeof(memory));
	space = pcfg_buffer_space(&buf, &room);
	ok(space == memory && room == 16, "an empty buffer has all its room");
	memcpy(space, "1\0\0\0\4Z\0\0\0\5I", 11);
	pcfg_buffer_filled(&buf, 11);
	ok(pcfg_frame_next(&buf, &frame, &need) == PCFG_FRAME_OK && frame.type == '1' && frame.len == 0,
	   "the first message");
	pcfg_buffer_consume(&buf);
	pcfg_buffer_compact(&buf);
	ok(buf.consumed == 0 && buf.filled == 6 && pcfg_buffer_is_sane(&buf), "what is dead is moved out");
	pcfg_buffer_move(&buf, other, sizeof(other));
	memset(memory, 'x', sizeof(memory));
	ok(pcfg_frame_next(&buf, &frame, &need) == PCFG_FRAME_OK && frame.type == 'Z' && frame.len == 1 &&
	   frame.body[0] == 'I' && buf.size == 32, "and the rest survives a move");
	pcfg_buffer_consume(&buf);
	ok(buf.filled == 0 && buf.parsed == 0, "an empty buffer starts over");
	buf.parsed = 2;
	ok(!pcfg_buffer_is_sane(&buf), "marks in the wrong order are noticed");
}

static void
test_readers(void)
{
	/* of its own size, so that a read beyond it is noticed */
	char	   *body = malloc(11);
	PcfgReader	r;

	memcpy(body, "\1\2\3\4\5\6\7ab\0x", 11);
	pcfg_reader_init(&r, body, 11);
	ok(pcfg_read_byte(&r) == 1 && pcfg_read_int16(&r) == 0x0203 && pcfg_read_int32(&r) == 0x04050607,
	   "numbers in network order");
	ok(strcmp(pcfg_read_string(&r), "ab") == 0 && !pcfg_reader_done(&r), "a string, and something left");
	ok(pcfg_read_string(&r) == NULL && r.failed, "a string without end is none");
	ok(pcfg_read_byte(&r) == 0 && pcfg_read_bytes(&r, 0) == NULL, "failure is sticky");
	pcfg_reader_init(&r, body, 3);
	ok(pcfg_read_int32(&r) == 0 && r.failed, "a number that is cut is none");
	pcfg_reader_init(&r, body, 3);
	ok(pcfg_read_bytes(&r, (size_t) -1) == NULL && r.failed, "nor is a length beyond all memory");
	free(body);
}

static void
test_fields(void)
{
	static const char text[] = "SFEHLER\0VERROR\0C22012\0Mdivision\0Q?\0nname\0";
	PcfgFrame	frame = {'E', text, sizeof(text)};
	PcfgFields	fields;
	size_t		len;
	int			sound = 0;

	ok(pcfg_read_fields(&frame, &fields) && strcmp(fields.severity, "ERROR") == 0 &&
	   strcmp(fields.sqlstate, "22012") == 0 && strcmp(fields.message, "division") == 0 &&
	   strcmp(fields.constraint, "name") == 0 && fields.detail == NULL,
	   "known fields are told, unknown ones passed over");
	for (len = 0; len < sizeof(text); len++)
	{
		char	   *cut = malloc(len + 1);

		memcpy(cut, text, len);
		frame.body = cut;
		frame.len = len;
		sound += pcfg_read_fields(&frame, &fields);
		free(cut);
	}
	ok(sound == 0, "a message that is cut anywhere is malformed");
}

/* A statement in full; true when it fit. */
static bool
write_statement(PcfgWriter *w, char *data, size_t size)
{
	static const int16_t formats[] = {0, 1, 1};
	static const PcfgWireParam params[] = {{23, 1, 4, "\0\0\0\7"}, {0, 0, -1, NULL}, {0, 0, 0, ""}};

	pcfg_writer_init(w, data, size);
	pcfg_write_parse(w, "n", "select 1", params, 3);
	pcfg_write_describe_statement(w, "n");
	pcfg_write_bind(w, "n", params, 3, formats, 3);
	pcfg_write_execute(w);
	pcfg_write_sync(w);
	return !w->failed;
}

static void
test_writers(void)
{
	static const PcfgWireParam params[] = {{23, 1, 4, "\0\0\0\7"}, {0, 0, -1, NULL}, {0, 0, 0, ""}};
	size_t		bound = pcfg_statement_bound(1, strlen("select 1"), params, 3, 3);
	size_t		exact = 0;
	size_t		size;
	int			wrong = 0;

	for (size = bound;; size--)
	{
		char	   *data = malloc(size);
		PcfgWriter	w;
		bool		fits = write_statement(&w, data, size);

		if (size == bound)
		{
			exact = w.used;
			ok(fits && exact <= bound, "a statement fits in its bound");
			ok(memcmp(data, "P\0\0\0\35n\0select 1\0\0\3\0\0\0\27\0\0\0\0\0\0\0\0D\0\0\0\7Sn\0"
					  "B\0\0\0\51\0n\0\0\3\0\1\0\0\0\0\0\3\0\0\0\4\0\0\0\7\377\377\377\377\0\0\0\0"
					  "\0\3\0\0\0\1\0\1E\0\0\0\11\0\0\0\0\0S\0\0\0\4", exact) == 0, "byte for byte");
		}
		wrong += fits != (size >= exact);
		free(data);
		if (size == 1)
			break;
	}
	ok(wrong == 0, "any smaller room makes it fail, and nothing is written beyond");
}

static void
test_other_writers(void)
{
	static const char all[] = "P\0\0\0\11\0a\0\0\0B\0\0\0\14\0\0\0\0\0\0\0\0E\0\0\0\11\0\0\0\0\0"
		"C\0\0\0\7Sn\0Q\0\0\0\6a\0f\0\0\0\7no\0";
	char		data[sizeof(all)];
	PcfgWriter	w;

	pcfg_writer_init(&w, data, sizeof(data));
	pcfg_write_command(&w, "a");
	pcfg_write_close_statement(&w, "n");
	pcfg_write_query(&w, "a");
	pcfg_write_copy_fail(&w, "no");
	ok(!w.failed && w.used == sizeof(all) - 1 && memcmp(data, all, w.used) == 0,
	   "a command, Close, Query, CopyFail");
}

int
main(void)
{
	test_lengths();
	test_buffer();
	test_readers();
	test_fields();
	test_writers();
	test_other_writers();
	return tap_done();
}
