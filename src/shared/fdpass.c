/*-------------------------------------------------------------------------
 *
 * shared/fdpass.c
 *	  One packet and at most one descriptor over a unix socket.
 *
 * Floor 1; worker and backends; no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* struct ucred */
#endif
#include "shared/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SCM_CREDENTIALS
#error "pool_config needs SCM_CREDENTIALS: the kernel's word on who sends a message"
#endif

int
pcfg_packet_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0 ?
		0 : errno;
}

int
pcfg_packet_send(int sock, const void *data, size_t len, int fd)
{
	union
	{
		struct cmsghdr align;
		char		bytes[CMSG_SPACE(sizeof(int))];
	}			control;
	struct iovec iov;
	struct msghdr msg;
	ssize_t		n;

	memset(&msg, 0, sizeof(msg));
	memset(&control, 0, sizeof(control));
	iov.iov_base = (void *) data;
	iov.iov_len = len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (fd >= 0)
	{
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	return (size_t) n == len ? 0 : EMSGSIZE;
}

/*
 * Takes what came beside the data: the first descriptor to *fd, the sender's
 * process id to *pid.  False if there was more than one descriptor; those
 * beyond the first are closed.
 */
static bool
take_control(struct msghdr *msg, int *fd, pid_t *pid)
{
	struct cmsghdr *c;
	bool		sound = true;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c))
	{
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS &&
			c->cmsg_len >= CMSG_LEN(sizeof(struct ucred)))
		{
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			*pid = cred.pid;
		}
		else if (c->cmsg_type == SCM_RIGHTS)
		{
			size_t		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			size_t		i;

			for (i = 0; i < n; i++)
			{
				int			got;

				memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
				if (*fd < 0)
					*fd = got;
				else
				{
					(void) close(got);
					sound = false;
				}
			}
		}
	}
	return sound;
}

ssize_t
pcfg_packet_receive(int sock, void *data, size_t size, int *fd, pid_t *pid)
{
	union
	{
		struct cmsghdr align;
		char		bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	}			control;
	struct iovec iov;
	struct msghdr msg;
	pid_t		sender = 0;
	ssize_t		n;
	bool		sound;

	*fd = -1;
	memset(&msg, 0, sizeof(msg));
	iov.iov_base = data;
	iov.iov_len = size;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control.bytes;
	msg.msg_controllen = sizeof(control.bytes);
	do
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;

	sound = take_control(&msg, fd, &sender);
	if (pid != NULL)
		*pid = sender;
	if (sound && (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
		return n;

	/* no free descriptor here, or somebody sent what nobody sends */
	if (*fd >= 0)
		(void) close(*fd);
	*fd = -1;
	errno = (msg.msg_flags & MSG_CTRUNC) != 0 && sound ? EMFILE : EPROTO;
	return -1;
}
