/*-------------------------------------------------------------------------
 *
 * backend/notifications.c
 *	  Notifications that arrived on a connection and were not fetched yet.
 *
 * Floor 6; backends; no network.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/notifications.h"
#include "mb/pg_wchar.h"

/* Kept for each connection. */
#define KEPT_MAX	10000
#define BYTES_MAX	((size_t) 4 * 1024 * 1024)

static bool
is_sound(const char *text)
{
	return pg_verify_mbstr(GetDatabaseEncoding(), text, (int) strlen(text), true);
}

bool
pcfg_notifications_add(PcfgNotifications *list, const PcfgFrame *frame)
{
	PcfgReader	r;
	int			pid;
	const char *channel;
	const char *payload;
	size_t		channel_size;
	size_t		size;
	PcfgNotification *added = NULL;

	pcfg_reader_init(&r, frame->body, frame->len);
	pid = pcfg_read_int32(&r);
	channel = pcfg_read_string(&r);
	payload = pcfg_read_string(&r);
	if (!pcfg_reader_done(&r) || !is_sound(channel) || !is_sound(payload))
		return false;

	channel_size = strlen(channel) + 1;
	size = offsetof(PcfgNotification, text) + channel_size + strlen(payload) + 1;
	if (list->n < KEPT_MAX && list->bytes + size <= BYTES_MAX)
		added = MemoryContextAllocExtended(list->context, size, MCXT_ALLOC_NO_OOM);
	if (added == NULL)
	{
		list->dropped++;
		return true;
	}
	added->next = NULL;
	added->pid = pid;
	added->channel = strcpy(added->text, channel);
	added->payload = strcpy(added->text + channel_size, payload);
	if (list->last != NULL)
		list->last->next = added;
	else
		list->first = added;
	list->last = added;
	list->n++;
	list->bytes += size;
	return true;
}

void
pcfg_notifications_shift(PcfgNotifications *list)
{
	PcfgNotification *first = list->first;

	list->n--;
	list->bytes -= offsetof(PcfgNotification, text) +
		strlen(first->channel) + 1 + strlen(first->payload) + 1;
	list->first = first->next;
	if (list->first == NULL)
		list->last = NULL;
	pfree(first);
}
