/*
 * fuzz_reply.c
 *	  Whatever a server answers to a series.
 *
 * The input: how many steps, the steps, how the bytes are cut, the bytes.  Read
 * in one piece and in slices they must come to the same events, all of them
 * inside the buffer, and nothing is clean that was not answered in full.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/message.h"
#include "wire/reply.h"

#define MUST(condition)		do { if (!(condition)) abort(); } while (0)
#define MAX_EVENTS			4096

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Trace
{
	int			n;
	uint32_t	events[MAX_EVENTS];	/* event, type and length of its frame */
	bool		clean;
} Trace;

static char *memory;
static size_t memory_size;

/* What is done with frames elsewhere, as far as it reads them. */
static void
read_frame(PcfgEvent event, const PcfgFrame *frame, const PcfgBuffer *buf)
{
	PcfgReader	r;
	PcfgFields	fields;

	MUST(frame->body >= buf->data + buf->consumed &&
		 frame->body + frame->len <= buf->data + buf->parsed);
	pcfg_reader_init(&r, frame->body, frame->len);
	switch (event)
	{
		case PCFG_EVENT_ROW:
			{
				int			n = pcfg_read_int16(&r);

				while (n-- > 0)
				{
					int32_t		len = pcfg_read_int32(&r);

					if (len > 0)
						MUST(pcfg_read_bytes(&r, (size_t) len) != NULL);
				}
				MUST(pcfg_reader_done(&r));
			}
			break;
		case PCFG_EVENT_COLUMNS:
			{
				int			n = pcfg_read_int16(&r);

				while (n-- > 0)
				{
					MUST(pcfg_read_string(&r) != NULL);
					MUST(pcfg_read_bytes(&r, 18) != NULL);
				}
				MUST(pcfg_reader_done(&r));
			}
			break;
		case PCFG_EVENT_COMPLETE:
			MUST(strlen(frame->body) + 1 == frame->len);
			break;
		case PCFG_EVENT_ERROR:
		case PCFG_EVENT_NOTICE:
			if (pcfg_read_fields(frame, &fields) && fields.message != NULL)
				MUST(strlen(fields.message) < frame->len);
			break;
		case PCFG_EVENT_PARAMETER:
			(void) pcfg_read_string(&r);
			(void) pcfg_read_string(&r);
			break;
		default:
			break;
	}
}

/* Reads the bytes, "slice" at a time. */
static void
run(Trace *trace, const uint8_t *steps, int nsteps, const uint8_t *bytes, size_t size, size_t slice)
{
	PcfgReply	reply;
	PcfgBuffer	buf;
	size_t		given = 0;
	int			i;

	memset(trace, 0, sizeof(*trace));
	pcfg_reply_init(&reply);
	for (i = 0; i < nsteps; i++)
		MUST(pcfg_reply_expect(&reply, (PcfgStep) (steps[i] % (PCFG_STEP_SYNC + 1))));
	pcfg_buffer_init(&buf, memory, memory_size);
	for (;;)
	{
		PcfgFrame	frame;
		size_t		need;
		size_t		room;
		char	   *space;
		PcfgEvent	event = pcfg_reply_next(&reply, &buf, &frame, &need);

		MUST(pcfg_buffer_is_sane(&buf));
		if (event == PCFG_EVENT_BAD)
		{
			trace->events[trace->n++] = PCFG_EVENT_BAD;
			MUST(pcfg_reply_next(&reply, &buf, &frame, &need) == PCFG_EVENT_BAD);
			break;
		}
		if (event != PCFG_EVENT_MORE)
		{
			read_frame(event, &frame, &buf);
			trace->events[trace->n++] = (uint32_t) event << 24 | (uint32_t) (unsigned char) frame.type << 16 |
				(uint32_t) (frame.len & 0xffff);
			if (trace->n == MAX_EVENTS - 1)
				break;
			continue;
		}
		if (given == size)
			break;
		pcfg_buffer_consume(&buf);
		pcfg_buffer_compact(&buf);
		space = pcfg_buffer_space(&buf, &room);
		if (slice > size - given)
			slice = size - given;
		MUST(room >= slice);
		memcpy(space, bytes + given, slice);
		pcfg_buffer_filled(&buf, slice);
		given += slice;
	}
	trace->clean = pcfg_reply_is_clean(&reply, &buf);
	if (trace->clean)
		MUST(!reply.bad && reply.step == reply.nsteps && given == size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Trace whole;
	static Trace sliced;
	int			nsteps;
	size_t		slice;

	if (size < 8)
		return 0;
	nsteps = 1 + data[0] % 5;
	slice = 1 + data[6] % 40;
	memory_size = size + 64;
	memory = malloc(memory_size);
	MUST(memory != NULL);
	run(&whole, data + 1, nsteps, data + 7, size - 7, size - 7);
	run(&sliced, data + 1, nsteps, data + 7, size - 7, slice);
	if (whole.n < MAX_EVENTS - 1)
	{
		MUST(whole.n == sliced.n);
		MUST(memcmp(whole.events, sliced.events, sizeof(whole.events[0]) * (size_t) whole.n) == 0);
	}
	free(memory);
	return 0;
}
