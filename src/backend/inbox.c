/*-------------------------------------------------------------------------
 *
 * backend/inbox.c
 *	  The receive buffer of a call.
 *
 * Floor 6; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/inbox.h"

/* Kept by each process; an inner call makes do with less. */
#define KEPT_SIZE		65536
#define INNER_SIZE		16384

/* With less room than this behind what is there, it is moved to the front. */
#define ROOM_MIN		4096

/* First size of a buffer for a message that does not fit. */
#define GROWN_MIN		((size_t) 1024 * 1024)

/* The outermost call's, in TopMemoryContext. */
static char *kept = NULL;
static bool kept_taken = false;

void
pcfg_inbox_open(PcfgInbox *inbox)
{
	if (kept == NULL)
		kept = MemoryContextAlloc(TopMemoryContext, KEPT_SIZE);
	inbox->context = CurrentMemoryContext;
	if (kept_taken)
	{
		inbox->base = palloc(INNER_SIZE);
		inbox->base_size = INNER_SIZE;
	}
	else
	{
		kept_taken = true;
		inbox->base = kept;
		inbox->base_size = KEPT_SIZE;
	}
	pcfg_buffer_init(&inbox->buffer, inbox->base, inbox->base_size);
}

void
pcfg_inbox_close(PcfgInbox *inbox)
{
	if (inbox->base == NULL)
		return;
	if (inbox->buffer.data != inbox->base)
		pfree(inbox->buffer.data);
	if (inbox->base == kept)
		kept_taken = false;
	else
		pfree(inbox->base);
	inbox->base = NULL;
}

static void
move(PcfgInbox *inbox, char *data, size_t size)
{
	char	   *old = inbox->buffer.data;

	pcfg_buffer_move(&inbox->buffer, data, size);
	if (old != inbox->base)
		pfree(old);
}

void
pcfg_inbox_make_room(PcfgInbox *inbox, size_t need)
{
	PcfgBuffer *buf = &inbox->buffer;
	size_t		live;
	size_t		size;

	pcfg_buffer_consume(buf);
	live = buf->filled - buf->consumed;
	if (buf->data != inbox->base && live + ROOM_MIN <= inbox->base_size &&
		need <= inbox->base_size)
	{
		move(inbox, inbox->base, inbox->base_size);
		return;
	}
	if (live == 0 || buf->consumed + need > buf->size ||
		buf->size - buf->filled < ROOM_MIN)
		pcfg_buffer_compact(buf);
	if (buf->filled < buf->size)
		return;

	size = Min(Max(need, buf->size + ROOM_MIN), Max(2 * buf->size, GROWN_MIN));
	move(inbox, MemoryContextAllocHuge(inbox->context, size), size);
}
