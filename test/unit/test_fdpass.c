/*
 * test_fdpass.c
 *	  Packets and descriptors over a unix socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/fdpass.h"
#include "tap.h"

/* Descriptors that this process has open. */
static int
count_open(void)
{
	int			n = 0;
	int			fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Sends n copies of a descriptor at once, as nobody of ours does. */
static void
send_many(int sock, int fd, int n)
{
	char		control[CMSG_SPACE(sizeof(int) * 8)] = {0};
	char		byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {0};
	struct cmsghdr *c;
	int			i;

	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control;
	msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t) n);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t) n);
	for (i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + (size_t) i * sizeof(int), &fd, sizeof(int));
	if (sendmsg(sock, &msg, 0) < 0)
		perror("sendmsg");
}

int
main(void)
{
	int			pair[2];
	int			other[2];
	int			on = 1;
	int			fd;
	int			before;
	char		data[64];
	pid_t		pid;
	ssize_t		n;
	int			sent = 0;
	struct rlimit limit;
	struct rlimit low;

	ok(pcfg_packet_pair(pair) == 0 && pcfg_packet_pair(other) == 0, "pairs");
	ok((fcntl(pair[0], F_GETFD) & FD_CLOEXEC) && (fcntl(pair[0], F_GETFL) & O_NONBLOCK),
	   "close-on-exec and non-blocking");
	n = pcfg_packet_receive(pair[0], data, sizeof(data), &fd, NULL);
	ok(n == -1 && errno == EAGAIN && fd == -1, "nothing to receive");

	before = count_open();
	ok(pcfg_packet_send(pair[1], "hello", 5, other[0]) == 0, "a packet with a descriptor");
	n = pcfg_packet_receive(pair[0], data, sizeof(data), &fd, &pid);
	ok(n == 5 && memcmp(data, "hello", 5) == 0 && fd >= 0 && pid == 0, "arrives; no word of the sender without asking");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "and is close-on-exec");
	close(fd);

	ok(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0, "asking for the sender");
	(void) pcfg_packet_send(pair[1], "x", 1, other[0]);
	n = pcfg_packet_receive(pair[0], data, sizeof(data), &fd, &pid);
	ok(n == 1 && fd >= 0 && pid == getpid(), "the kernel's word comes with the descriptor");
	close(fd);

	(void) pcfg_packet_send(pair[1], "0123456789", 10, other[0]);
	n = pcfg_packet_receive(pair[0], data, 5, &fd, NULL);
	ok(n == -1 && errno == EPROTO && fd == -1, "a packet that is cut is refused");
	send_many(pair[1], other[0], 2);
	n = pcfg_packet_receive(pair[0], data, sizeof(data), &fd, NULL);
	ok(n == -1 && fd == -1, "two descriptors are refused");
	send_many(pair[1], other[0], 8);
	n = pcfg_packet_receive(pair[0], data, sizeof(data), &fd, NULL);
	ok(n == -1 && fd == -1, "and eight");
	ok(count_open() == before, "and whatever came is closed");

	(void) getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	fd = dup(0);
	low.rlim_cur = (rlim_t) fd;
	close(fd);
	(void) pcfg_packet_send(pair[1], "x", 1, other[0]);
	(void) setrlimit(RLIMIT_NOFILE, &low);
	n = pcfg_packet_receive(pair[0], data, sizeof(data), &fd, NULL);
	(void) setrlimit(RLIMIT_NOFILE, &limit);
	ok(n == -1 && errno == EMFILE && fd == -1, "without a free descriptor it is said so");

	while (pcfg_packet_send(pair[1], data, sizeof(data), -1) == 0 && sent < 100000)
		sent++;
	ok(sent > 0 && sent < 100000 && pcfg_packet_send(pair[1], data, 1, -1) == EAGAIN, "a full queue says later");
	close(pair[1]);
	while (pcfg_packet_receive(pair[0], data, sizeof(data), &fd, NULL) > 0)
		;
	ok(pcfg_packet_receive(pair[0], data, sizeof(data), &fd, NULL) == 0, "and the other end's end is 0");
	ok(pcfg_packet_send(pair[0], data, 1, -1) == EPIPE, "writing to it is an error, not a signal");
	return tap_done();
}
