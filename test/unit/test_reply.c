/*
 * test_reply.c
 *	  The machine that reads the answers to a series.
 */
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "wire/reply.h"

/* Answers as the server sends them. */
#define PARSED		"1\0\0\0\4"
#define BOUND		"2\0\0\0\4"
#define PARAMETERS	"t\0\0\0\6\0\0"
#define COLUMNS		"T\0\0\0\32\0\1a\0\0\0\0\0\0\0\0\0\0\27\0\4\377\377\377\377\0\0"
#define NO_COLUMNS	"n\0\0\0\4"
#define ROW			"D\0\0\0\13\0\1\0\0\0\1x"
#define DONE		"C\0\0\0\15SELECT 1\0"
#define EMPTY		"I\0\0\0\4"
#define READY		"Z\0\0\0\5I"
#define READY_T		"Z\0\0\0\5T"
#define READY_E		"Z\0\0\0\5E"
#define FAILED		"E\0\0\0\30SERROR\0C22012\0Mbad\0\0"
#define NOTICE		"N\0\0\0\20SNOTICE\0Mx\0\0"
#define STATUS		"S\0\0\0\12a\0bcd\0"
#define NOTIFY		"A\0\0\0\14\0\0\0\1ch\0\0"
#define COPY_OUT	"H\0\0\0\7\0\0\0"
#define COPY_IN		"G\0\0\0\7\0\0\0"
#define COPY_BOTH	"W\0\0\0\7\0\0\0"
#define COPY_DATA	"d\0\0\0\6x\n"
#define COPY_END	"c\0\0\0\4"
#define CLOSED		"3\0\0\0\4"
#define B(s)		s, sizeof(s) - 1

/* One letter an event. */
static char
letter(PcfgEvent event)
{
	return "mcnrCeNEPAghXZ!"[event];
}

/*
 * The events of a stream, fed in slices; ends with '.' when more is wanted.
 * "clean" tells whether the connection may be reused.
 */
static void
run(const PcfgStep *steps, int nsteps, const char *bytes, size_t len, size_t slice,
	char *events, bool *clean)
{
	/* of its own size, so that a read beyond it is noticed */
	char	   *memory = malloc(len + 1);
	size_t		fed = 0;
	int			n = 0;
	PcfgBuffer	buf;
	PcfgReply	reply;
	PcfgEvent	event = PCFG_EVENT_MORE;
	int			i;

	pcfg_buffer_init(&buf, memory, len);
	pcfg_reply_init(&reply);
	for (i = 0; i < nsteps; i++)
		(void) pcfg_reply_expect(&reply, steps[i]);
	while (event != PCFG_EVENT_BAD && n < 100)
	{
		PcfgFrame	frame;
		size_t		need;

		event = pcfg_reply_next(&reply, &buf, &frame, &need);
		if (event == PCFG_EVENT_MORE)
		{
			size_t		part = len - fed < slice ? len - fed : slice;

			if (part == 0)
				break;
			memcpy(memory + fed, bytes + fed, part);
			pcfg_buffer_filled(&buf, part);
			fed += part;
		}
		else
			events[n++] = letter(event);
		if (!pcfg_buffer_is_sane(&buf))
			events[n++] = '?';
	}
	events[n] = '\0';
	*clean = pcfg_reply_is_clean(&reply, &buf);
	free(memory);
}

static const PcfgStep statement[] = {PCFG_STEP_STATEMENT, PCFG_STEP_SYNC};
static const PcfgStep reset_first[] = {PCFG_STEP_COMMAND, PCFG_STEP_STATEMENT, PCFG_STEP_SYNC};
static const PcfgStep prepared[] = {PCFG_STEP_CLOSE, PCFG_STEP_CLOSE, PCFG_STEP_PREPARED, PCFG_STEP_SYNC};
static const PcfgStep query[] = {PCFG_STEP_QUERY};
static const PcfgStep reset_query[] = {PCFG_STEP_COMMAND, PCFG_STEP_QUERY};
static const PcfgStep describe[] = {PCFG_STEP_DESCRIBE, PCFG_STEP_SYNC};

typedef struct Case
{
	const char *name;
	const PcfgStep *steps;
	int			nsteps;
	const char *bytes;
	size_t		len;
	const char *events;
	bool		clean;
} Case;

static const Case cases[] = {
	{"rows", statement, 2, B(PARSED PARAMETERS COLUMNS BOUND ROW ROW DONE READY), "crrCZ", true},
	{"no columns", statement, 2, B(PARSED PARAMETERS NO_COLUMNS BOUND DONE READY), "nCZ", true},
	{"an empty statement", statement, 2, B(PARSED PARAMETERS NO_COLUMNS BOUND EMPTY READY), "neZ", true},
	{"messages of any time", statement, 2,
	B(NOTICE PARSED STATUS PARAMETERS COLUMNS NOTIFY BOUND ROW NOTICE DONE READY), "NPcArNCZ", true},
	{"a reset in front", reset_first, 3,
	B(PARSED BOUND DONE PARSED PARAMETERS COLUMNS BOUND ROW DONE READY), "crCZ", true},
	{"rows of a reset are passed over", reset_first, 3,
	B(PARSED BOUND ROW DONE PARSED PARAMETERS NO_COLUMNS BOUND DONE READY), "nCZ", true},
	{"a reset that fails strikes the statement off", reset_first, 3, B(PARSED BOUND FAILED READY), "EZ", true},
	{"an error in Parse", statement, 2, B(FAILED READY), "EZ", true},
	{"an error in Bind", statement, 2, B(PARSED PARAMETERS COLUMNS FAILED READY), "cEZ", true},
	{"an error after rows", statement, 2, B(PARSED PARAMETERS COLUMNS BOUND ROW FAILED READY), "crEZ", true},
	{"a description alone", describe, 2, B(PARSED PARAMETERS COLUMNS READY), "cZ", true},
	{"left in a transaction", statement, 2, B(PARSED PARAMETERS NO_COLUMNS BOUND DONE READY_T), "nCZ", false},
	{"left in a failed one", statement, 2, B(FAILED READY_E), "EZ", false},
	{"half of the answers", statement, 2, B(PARSED PARAMETERS COLUMNS BOUND ROW), "cr", false},
	{"bytes left over", statement, 2, B(PARSED PARAMETERS NO_COLUMNS BOUND DONE READY "N"), "nCZ", false},
	{"a second answer", statement, 2, B(PARSED PARAMETERS NO_COLUMNS BOUND DONE READY DONE), "nCZ!", false},
	{"ready too early", statement, 2, B(PARSED READY), "!", false},
	{"ready for a reset that was not answered", reset_first, 3, B(PARSED BOUND DONE READY), "!", false},
	{"a row before its columns", statement, 2, B(PARSED ROW), "!", false},
	{"a row before Bind", statement, 2, B(PARSED PARAMETERS COLUMNS ROW), "c!", false},
	{"a row after the end", statement, 2, B(PARSED PARAMETERS COLUMNS BOUND DONE ROW), "cC!", false},
	{"a row after an error", statement, 2, B(PARSED PARAMETERS COLUMNS BOUND FAILED ROW), "cE!", false},
	{"two errors", statement, 2, B(FAILED FAILED), "E!", false},
	{"COPY from us", statement, 2, B(PARSED PARAMETERS NO_COLUMNS BOUND COPY_IN), "nX", false},
	{"COPY both ways", query, 1, B(COPY_BOTH), "X", false},
	{"COPY in a reset", reset_first, 3, B(PARSED BOUND COPY_OUT), "X", false},
	{"COPY to us", statement, 2,
	B(PARSED PARAMETERS NO_COLUMNS BOUND COPY_OUT COPY_DATA COPY_DATA COPY_END DONE READY), "nhhhCZ", true},
	{"COPY to us that fails", statement, 2,
	B(PARSED PARAMETERS NO_COLUMNS BOUND COPY_OUT COPY_DATA FAILED READY), "nhhEZ", true},
	{"COPY that ends without its end", statement, 2,
	B(PARSED PARAMETERS NO_COLUMNS BOUND COPY_OUT COPY_DATA DONE), "nhh!", false},
	{"data of no COPY", statement, 2, B(PARSED PARAMETERS NO_COLUMNS BOUND COPY_DATA), "n!", false},
	{"COPY before Bind", statement, 2, B(PARSED PARAMETERS NO_COLUMNS COPY_OUT), "n!", false},
	{"a prepared statement, others closed", prepared, 4, B(CLOSED CLOSED BOUND ROW DONE READY), "rCZ", true},
	{"one that is not there", prepared, 4, B(CLOSED CLOSED FAILED READY), "EZ", true},
	{"one that fails after Bind", prepared, 4, B(CLOSED CLOSED BOUND ROW FAILED READY), "rEZ", true},
	{"one of three answers to Close is missing", prepared, 4, B(CLOSED BOUND), "!", false},
	{"an answer to Close that is not due", statement, 2, B(CLOSED), "!", false},
	{"columns of a prepared statement", prepared, 4, B(CLOSED CLOSED BOUND COLUMNS), "!", false},
	{"a query", query, 1, B(COLUMNS ROW ROW DONE READY), "cCZ", true},
	{"a query of several statements", query, 1, B(COLUMNS ROW DONE DONE COLUMNS DONE READY), "cCCcCZ", true},
	{"an empty query", query, 1, B(EMPTY READY), "eZ", true},
	{"a query that fails", query, 1, B(FAILED READY), "EZ", true},
	{"a query that fails half-way", query, 1, B(COLUMNS ROW DONE COLUMNS ROW FAILED READY), "cCcEZ", true},
	{"a query that leaves a transaction", query, 1, B(DONE READY_T), "CZ", false},
	{"a query behind a reset", reset_query, 2, B(PARSED BOUND DONE COLUMNS ROW DONE READY), "cCZ", true},
	{"a query behind a reset that fails", reset_query, 2, B(PARSED BOUND FAILED), "E", false},
	{"and that is not skipped", reset_query, 2, B(PARSED BOUND FAILED READY), "E!", false},
	{"a query that fails behind a reset", reset_query, 2, B(PARSED BOUND DONE FAILED READY), "EZ", true},
	{"a query without any answer", query, 1, B(READY), "!", false},
	{"a query that ends in the rows", query, 1, B(COLUMNS ROW READY), "c!", false},
	{"a query with the answer to Parse", query, 1, B(PARSED), "!", false},
	{"rows of no statement", query, 1, B(ROW), "!", false},
	{"a COPY into a query, given up", query, 1, B(COPY_IN FAILED READY), "gEZ", true},
	{"a COPY out of a query", query, 1, B(DONE COPY_OUT COPY_DATA COPY_END DONE READY), "ChhCZ", true},
	{"a status that is none", statement, 2, B(FAILED "Z\0\0\0\5Q"), "E!", false},
	{"a row shorter than its value", statement, 2,
	B(PARSED PARAMETERS COLUMNS BOUND "D\0\0\0\12\0\1\0\0\0\1"), "c!", false},
	{"a row longer than its values", statement, 2,
	B(PARSED PARAMETERS COLUMNS BOUND "D\0\0\0\14\0\1\0\0\0\1xy"), "c!", false},
	{"a row with a negative length", statement, 2,
	B(PARSED PARAMETERS COLUMNS BOUND "D\0\0\0\12\0\1\377\377\377\376"), "c!", false},
	{"a row with fewer than no columns", statement, 2,
	B(PARSED PARAMETERS COLUMNS BOUND "D\0\0\0\6\377\377"), "c!", false},
	{"columns that are cut", statement, 2, B(PARSED PARAMETERS "T\0\0\0\7\0\1a"), "!", false},
	{"a tag without end", statement, 2, B(PARSED PARAMETERS NO_COLUMNS BOUND "C\0\0\0\6OK"), "n!", false},
	{"bytes of no protocol", statement, 2, B("HTTP/1.1 400"), "!", false},
};

static void
test_cases(void)
{
	static const size_t slices[] = {1, 2, 3, 5, 7, 1000};
	size_t		i;
	size_t		j;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const Case *c = &cases[i];
		char		events[128];
		bool		clean = false;
		bool		same = true;

		for (j = 0; j < sizeof(slices) / sizeof(slices[0]); j++)
		{
			run(c->steps, c->nsteps, c->bytes, c->len, slices[j], events, &clean);
			same &= strcmp(events, c->events) == 0 && clean == c->clean;
		}
		ok(same, "%s%s%s", c->name, same ? "" : ": last seen ", same ? "" : events);
	}
}

/* Nothing but the whole answer makes a connection clean. */
static void
test_truncation(void)
{
	static const char whole[] = PARSED PARAMETERS COLUMNS BOUND ROW ROW DONE READY;
	size_t		len;
	int			wrong = 0;

	for (len = 0; len < sizeof(whole) - 1; len++)
	{
		char		events[128];
		bool		clean;

		run(statement, 2, whole, len, 1000, events, &clean);
		wrong += clean || strchr(events, 'Z') != NULL || strchr(events, '!') != NULL;
	}
	ok(wrong == 0, "an answer cut at any byte waits for more, and is never clean");
}

/* Whole answers, to be damaged. */
static const Case whole_answers[] = {
	{"a reset and a statement", reset_first, 3,
	B(PARSED BOUND DONE PARSED PARAMETERS COLUMNS BOUND ROW NOTICE ROW DONE READY), "crNrCZ", true},
	{"Closes and a prepared statement", prepared, 4,
	B(CLOSED CLOSED STATUS BOUND ROW ROW DONE READY), "PrrCZ", true},
	{"a reset and a query with COPY", reset_query, 2,
	B(PARSED BOUND DONE COLUMNS ROW DONE COPY_OUT COPY_DATA COPY_END DONE EMPTY READY), "cChhCeZ", true},
};

/* Random damage: never a crash (the sanitizers look), never two ends. */
static void
test_mutations(void)
{
	unsigned	seed = 4711;
	size_t		c;

	for (c = 0; c < sizeof(whole_answers) / sizeof(whole_answers[0]); c++)
	{
		const Case *answer = &whole_answers[c];
		int			damaged = 0;
		char		bytes[512];
		char		events[256];
		bool		clean;
		int			i;

		run(answer->steps, answer->nsteps, answer->bytes, answer->len, 7, events, &clean);
		ok(strcmp(events, answer->events) == 0 && clean, "%s, undamaged", answer->name);
		for (i = 0; i < 100000; i++)
		{
			int			k;

			memcpy(bytes, answer->bytes, answer->len);
			for (k = (int) (rand_r(&seed) % 4); k >= 0; k--)
				bytes[(size_t) rand_r(&seed) % answer->len] = (char) rand_r(&seed);
			run(answer->steps, answer->nsteps, bytes, answer->len,
				1 + (size_t) rand_r(&seed) % 40, events, &clean);
			damaged += strchr(events, '?') != NULL ||
				(strchr(events, 'Z') != NULL && strchr(strchr(events, 'Z') + 1, 'Z') != NULL);
		}
		ok(damaged == 0, "%s, damaged 100000 times, is read within its bounds", answer->name);
	}
}

int
main(void)
{
	PcfgReply	reply;
	int			n = 0;

	test_cases();
	test_truncation();
	test_mutations();
	pcfg_reply_init(&reply);
	while (n < 1000 && pcfg_reply_expect(&reply, PCFG_STEP_COMMAND))
		n++;
	ok(n == PCFG_MAX_STEPS, "a series has at most %d steps", PCFG_MAX_STEPS);
	return tap_done();
}
