/*-------------------------------------------------------------------------
 *
 * wire/buffer.c
 *	  Bytes received from a peer, split by three marks.
 *
 * Floor 0; any process; no I/O, no allocation, no server header.
 *
 *-------------------------------------------------------------------------
 */
#include "wire/buffer.h"

#include <string.h>

void
pcfg_buffer_init(PcfgBuffer *buf, char *data, size_t size)
{
	buf->data = data;
	buf->size = size;
	buf->consumed = buf->parsed = buf->filled = 0;
}

bool
pcfg_buffer_is_sane(const PcfgBuffer *buf)
{
	return buf->consumed <= buf->parsed && buf->parsed <= buf->filled &&
		buf->filled <= buf->size && (buf->data != NULL || buf->size == 0);
}

char *
pcfg_buffer_space(const PcfgBuffer *buf, size_t *room)
{
	*room = buf->size - buf->filled;
	return buf->data + buf->filled;
}

void
pcfg_buffer_filled(PcfgBuffer *buf, size_t n)
{
	buf->filled += n;
}

void
pcfg_buffer_consume(PcfgBuffer *buf)
{
	buf->consumed = buf->parsed;
	if (buf->consumed == buf->filled)
		buf->consumed = buf->parsed = buf->filled = 0;
}

void
pcfg_buffer_compact(PcfgBuffer *buf)
{
	size_t		dead = buf->consumed;

	if (dead == 0)
		return;
	memmove(buf->data, buf->data + dead, buf->filled - dead);
	buf->consumed = 0;
	buf->parsed -= dead;
	buf->filled -= dead;
}

void
pcfg_buffer_move(PcfgBuffer *buf, char *data, size_t size)
{
	size_t		dead = buf->consumed;

	memcpy(data, buf->data + dead, buf->filled - dead);
	buf->data = data;
	buf->size = size;
	buf->consumed = 0;
	buf->parsed -= dead;
	buf->filled -= dead;
}
