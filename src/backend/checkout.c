/*-------------------------------------------------------------------------
 *
 * backend/checkout.c
 *	  Whether a connection that lay idle may be used.
 *
 * Floor 7; backends.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include <sys/socket.h>

#include "backend/checkout.h"
#include "wire/reply.h"

/* What may lie unread on an idle connection and still be harmless. */
#define PEEK_MAX		8192

/* The longest such message on a connection that is listened on. */
#define LISTEN_MAX		32768

/*
 * So many reads take what came meanwhile.  A remote that talks faster than we
 * read is heard by who waits for an answer, and can be interrupted.
 */
#define LISTEN_READS	64

/*
 * A ping may take so long, or a quarter of what the caller has left; sooner
 * the others are asked, and one more is dialled.
 */
#define PING_PATIENCE	PCFG_SECOND
#define PING_DOUBT		(PCFG_SECOND / 4)
#define PING_SHARE		4

/*
 * Takes a message that may come at any time: a notice, a notification, a
 * parameter change (a reload of the remote sends those).  False for any other
 * message, for a change of the encoding that we rely on, and for other styles
 * unless the caller minds them himself.
 */
static bool
take_frame(const PcfgFrame *frame, PcfgNotifications *notifications, PcfgStyles *styles)
{
	PcfgStyles	told = {0};
	const char *name;
	const char *value;

	if (frame->type == 'N')
		return true;
	if (frame->type == 'A')
		return notifications == NULL || pcfg_notifications_add(notifications, frame);
	if (frame->type != 'S' || !pcfg_read_parameter(frame, &name, &value) ||
		strcmp(name, "client_encoding") == 0)
		return false;
	pcfg_styles_note(styles != NULL ? styles : &told, name, value);
	return !pcfg_styles_differ(&told);
}

/*
 * The length of the whole messages among the bytes found on an idle
 * connection, which notifications are taken of; false unless all are harmless.
 */
static bool
take_harmless(char *data, size_t len, PcfgNotifications *notifications,
			  PcfgStyles *styles, size_t *whole)
{
	PcfgBuffer	buf;
	PcfgFrame	frame;
	size_t		need;

	*whole = 0;
	pcfg_buffer_init(&buf, data, len);
	pcfg_buffer_filled(&buf, len);
	for (;;)
	{
		switch (pcfg_frame_next(&buf, &frame, &need))
		{
			case PCFG_FRAME_BAD:
				return false;
			case PCFG_FRAME_MORE:
				return *whole == len || memchr("NAS", data[*whole], 3) != NULL;
			case PCFG_FRAME_OK:
				break;
		}
		if (!take_frame(&frame, notifications, styles))
			return false;
		*whole = buf.parsed;
	}
}

/*
 * Looks at the socket itself, on every checkout: nothing to read is what an
 * idle connection has.  End of file, an error, or bytes that may belong to
 * somebody else's answer make it unusable.
 */
bool
pcfg_socket_is_quiet(PcfgSocket *sock)
{
	char		data[PEEK_MAX];
	size_t		whole;
	ssize_t		n;

	do
		n = recv(sock->fd, data, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK;
	n = recv(sock->fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0 || n == (ssize_t) sizeof(data) ||
		!take_harmless(data, (size_t) n, NULL, NULL, &whole) || whole != (size_t) n)
		return false;
	return recv(sock->fd, data, (size_t) n, MSG_DONTWAIT) == n;
}

bool
pcfg_socket_take_idle(PcfgSocket *sock, PcfgNotifications *notifications,
					  PcfgStyles *styles)
{
	char		data[LISTEN_MAX];
	size_t		whole;
	ssize_t		n;
	int			i;

	for (i = 0; i < LISTEN_READS; i++)
	{
		n = recv(sock->fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		if (n == 0 || !take_harmless(data, (size_t) n, notifications, styles, &whole))
			return false;
		/* what is not there in full is read with the next answer */
		if (whole == 0)
			return n < (ssize_t) sizeof(data);
		if (recv(sock->fd, data, whole, MSG_DONTWAIT) != (ssize_t) whole)
			return false;
	}
	return true;
}

/*
 * Waits for an answer, and what comes with it; false when it does not come in
 * time.
 */
static bool
await(PcfgSocket *sock, const PcfgGrant *grant, PcfgReply *reply,
	  PcfgNotifications *notifications, PcfgStyles *styles,
	  PcfgTime doubt_at, PcfgTime limit)
{
	char		data[LISTEN_MAX];
	PcfgBuffer	buf;
	bool		doubted = false;

	pcfg_buffer_init(&buf, data, sizeof(data));
	for (;;)
	{
		PcfgFrame	frame;
		size_t		need;
		size_t		room;
		char	   *space;
		ssize_t		n;

		switch (pcfg_reply_next(reply, &buf, &frame, &need))
		{
			case PCFG_EVENT_READY:
				if (notifications == NULL)
					return pcfg_reply_is_clean(reply, &buf);
				continue;
			case PCFG_EVENT_COMPLETE:
				continue;
			case PCFG_EVENT_NOTICE:
			case PCFG_EVENT_NOTIFY:
			case PCFG_EVENT_PARAMETER:
				if (!take_frame(&frame, notifications, styles))
					return false;
				continue;
			case PCFG_EVENT_MORE:
				if (pcfg_reply_is_clean(reply, &buf))
					return true;
				break;
			default:
				return false;
		}
		pcfg_buffer_consume(&buf);
		pcfg_buffer_compact(&buf);
		space = pcfg_buffer_space(&buf, &room);
		if (room == 0 || need > sizeof(data))
			return false;
		n = recv(sock->fd, space, room, MSG_DONTWAIT);
		if (n > 0)
			pcfg_buffer_filled(&buf, (size_t) n);
		else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
			return false;
		else if (pcfg_now() >= limit)
			return false;
		else
		{
			if (!doubted && pcfg_now() >= doubt_at)
			{
				doubted = true;
				pcfg_pool_doubt(grant);
			}
			(void) pcfg_socket_wait(sock, WL_SOCKET_READABLE,
									doubted ? limit : Min(doubt_at, limit),
									pcfg_wait_event(PCFG_WAIT_FOR_RESULT));
			CHECK_FOR_INTERRUPTS();
		}
	}
}

/* Others are asked, and one more is dialled, when it takes half of that. */
static PcfgTime
doubt_time(PcfgTime now, PcfgTime limit)
{
	return now + Min(PING_DOUBT, (limit - now) / 2);
}

PcfgTime
pcfg_ping_limit(PcfgTime now, PcfgTime deadline)
{
	return deadline == PCFG_FOREVER ? now + PING_PATIENCE :
		now + Min(PING_PATIENCE, Max(deadline - now, 0) / PING_SHARE);
}

/*
 * A round trip without a statement: a Sync, which the remote answers with its
 * state.  It has a short time limit of its own, for there are other
 * connections, and the caller's time is for them.
 */
bool
pcfg_socket_answers_ping(PcfgSocket *sock, const PcfgGrant *grant, PcfgTime deadline)
{
	static const char sync[5] = {'S', 0, 0, 0, 4};
	PcfgTime	now = pcfg_now();
	PcfgTime	limit = pcfg_ping_limit(now, deadline);
	PcfgReply	reply;

	pcfg_reply_init(&reply);
	if (!pcfg_reply_expect(&reply, PCFG_STEP_SYNC) ||
		send(sock->fd, sync, sizeof(sync), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(sync))
		return false;
	return await(sock, grant, &reply, NULL, NULL, doubt_time(now, limit), limit);
}

bool
pcfg_socket_has_rolled_back(PcfgSocket *sock, const PcfgGrant *grant,
							PcfgNotifications *notifications, PcfgStyles *styles,
							PcfgTime limit)
{
	PcfgReply	reply;

	pcfg_reply_init(&reply);
	return pcfg_reply_expect(&reply, PCFG_STEP_QUERY) &&
		await(sock, grant, &reply, notifications, styles,
			  doubt_time(pcfg_now(), limit), limit);
}
