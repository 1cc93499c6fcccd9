/*
 * tls_server: TLS in front of a server without it, with all the habits that a
 * real one has only at times.
 *
 *	tls_server LISTEN_PORT SERVER_PORT CERTIFICATE KEY CONTROL_FILE
 *
 * Each connection is a process of its own, and reads the control file anew:
 * words of the form name=value.
 *
 *	version=1.2|1.3		this version of TLS only
 *	record=N			records of N bytes at most
 *	keyupdate=N			a key update with a request for one, every N bytes (1.3)
 *	renegotiate=N		a renegotiation, tried every N bytes (1.2)
 *	cut=N				after N records the connection is closed without close_notify
 *	notify=N			... with one
 *	reset=N				... with a reset
 *	stall=N				after N bytes no more is read or written
 *	plain=TEXT			sent in plain text behind the answer to the SSLRequest
 *	error=TEXT			an error instead of an answer to the SSLRequest
 *	refuse=1			no TLS here
 *
 * It prints one line for each TLS connection: version, server name asked for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

static char habits[4096];

/* The value of a habit, NULL when there is none. */
static const char *
habit(const char *name)
{
	static char value[1024];
	char	   *p = habits;
	size_t		len = strlen(name);

	while ((p = strstr(p, name)) != NULL)
	{
		if ((p == habits || p[-1] == ' ') && p[len] == '=')
		{
			size_t		n = strcspn(p + len + 1, " \n");

			memcpy(value, p + len + 1, n);
			value[n] = '\0';
			return value;
		}
		p++;
	}
	return NULL;
}

static long
number(const char *name)
{
	const char *value = habit(name);

	return value != NULL ? atol(value) : 0;
}

static void
write_all(int fd, const char *data, size_t len)
{
	while (len > 0)
	{
		ssize_t		n = write(fd, data, len);

		if (n <= 0)
			_exit(0);
		data += n;
		len -= (size_t) n;
	}
}

static int
connect_to(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short) port)};
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *) &a, sizeof(a)) != 0)
		_exit(1);
	return fd;
}

static void
end_with_reset(int fd)
{
	struct linger l = {1, 0};

	(void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
	_exit(0);
}

/* Counts what goes to the client, and does what is due then. */
static void
after_record(SSL *ssl, int fd, size_t n)
{
	static long records = 0;
	static long bytes = 0;
	static long key_updates = 0;
	static long renegotiations = 0;

	records++;
	bytes += (long) n;
	if (number("cut") > 0 && records >= number("cut"))
	{
		shutdown(fd, SHUT_WR);
		_exit(0);
	}
	if (number("notify") > 0 && records >= number("notify"))
	{
		SSL_shutdown(ssl);
		shutdown(fd, SHUT_WR);
		_exit(0);
	}
	if (number("reset") > 0 && records >= number("reset"))
		end_with_reset(fd);
	if (number("stall") > 0 && bytes >= number("stall"))
		for (;;)
			pause();
	if (number("keyupdate") > 0 && bytes / number("keyupdate") > key_updates)
	{
		key_updates = bytes / number("keyupdate");
		if (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(ssl) != 1)
			_exit(1);
	}
	if (number("renegotiate") > 0 && bytes / number("renegotiate") > renegotiations)
	{
		renegotiations = bytes / number("renegotiate");
		if (SSL_renegotiate(ssl) == 1)
			(void) SSL_do_handshake(ssl);
	}
}

static void
to_client(SSL *ssl, int fd, const char *data, size_t len)
{
	size_t		most = number("record") > 0 ? (size_t) number("record") : 16384;

	while (len > 0)
	{
		size_t		n = len < most ? len : most;

		if (SSL_write(ssl, data, (int) n) != (int) n)
			_exit(0);
		after_record(ssl, fd, n);
		data += n;
		len -= n;
	}
}

static void
pump(SSL *ssl, int fd, int server)
{
	char		data[65536];

	for (;;)
	{
		struct pollfd p[2] = {{fd, POLLIN, 0}, {server, POLLIN, 0}};

		if (SSL_pending(ssl) == 0 && poll(p, 2, -1) < 0)
		{
			if (errno == EINTR)
				continue;
			return;
		}
		if (SSL_pending(ssl) > 0 || p[0].revents != 0)
		{
			int			n = SSL_read(ssl, data, sizeof(data));

			if (n > 0)
				write_all(server, data, (size_t) n);
			else if (SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ)
				return;
		}
		if (p[1].revents != 0)
		{
			ssize_t		n = read(server, data, sizeof(data));

			if (n <= 0)
			{
				SSL_shutdown(ssl);
				return;
			}
			to_client(ssl, fd, data, (size_t) n);
		}
	}
}

/* Plain bytes both ways, for what is no SSLRequest (a cancel request). */
static void
pump_plain(int fd, int server)
{
	char		data[4096];

	for (;;)
	{
		struct pollfd p[2] = {{fd, POLLIN, 0}, {server, POLLIN, 0}};
		int			i;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		for (i = 0; i < 2; i++)
		{
			ssize_t		n;

			if (p[i].revents == 0)
				continue;
			n = read(p[i].fd, data, sizeof(data));
			if (n <= 0)
				return;
			write_all(p[1 - i].fd, data, (size_t) n);
		}
	}
}

static void
serve(SSL_CTX *ctx, int fd, int server_port)
{
	static const unsigned char ssl_request[8] = {0, 0, 0, 8, 4, 210, 22, 47};
	unsigned char first[8];
	size_t		got = 0;
	SSL		   *ssl;
	int			server;

	while (got < sizeof(first))
	{
		ssize_t		n = read(fd, first + got, sizeof(first) - got);

		if (n <= 0)
			return;
		got += (size_t) n;
	}
	if (memcmp(first, ssl_request, 8) != 0 || habit("refuse") != NULL)
	{
		server = connect_to(server_port);
		if (memcmp(first, ssl_request, 8) == 0)
			write_all(fd, "N", 1);
		else
			write_all(server, (char *) first, 8);
		pump_plain(fd, server);
		return;
	}
	if (habit("error") != NULL)
	{
		char		message[2048];
		int			n = snprintf(message + 5, sizeof(message) - 5, "SFATAL%cC28000%cM%s%c%c",
								 0, 0, habit("error"), 0, 0) + 4;
		unsigned	len = htonl((unsigned) n);

		message[0] = 'E';
		memcpy(message + 1, &len, 4);
		write_all(fd, message, (size_t) n + 1);
		return;
	}
	if (habit("plain") != NULL)
	{
		char		answer[2048];

		snprintf(answer, sizeof(answer), "S%s", habit("plain"));
		write_all(fd, answer, strlen(answer));
	}
	else
		write_all(fd, "S", 1);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	/* a key update alone must not make SSL_read wait for data */
	SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
	if (number("record") >= 512)
		SSL_set_max_send_fragment(ssl, number("record"));
	if (SSL_accept(ssl) != 1)
		return;
	printf("%s %s\n", SSL_get_version(ssl),
		   SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL ?
		   SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : "-");
	fflush(stdout);
	server = connect_to(server_port);
	pump(ssl, fd, server);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int			one = 1;
	int			listener;
	SSL_CTX    *ctx;

	if (argc != 6)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_port = htons((unsigned short) atoi(argv[1]));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *) &a, sizeof(a)) != 0 || listen(listener, 64) != 0)
		return 3;
	ctx = SSL_CTX_new(TLS_server_method());
	if (SSL_CTX_use_certificate_file(ctx, argv[3], SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_use_PrivateKey_file(ctx, argv[4], SSL_FILETYPE_PEM) != 1)
		return 4;
	for (;;)
	{
		int			fd = accept(listener, NULL, NULL);
		FILE	   *control;
		size_t		n = 0;

		if (fd < 0)
			continue;
		if (fork() != 0)
		{
			close(fd);
			continue;
		}
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(listener);
		control = fopen(argv[5], "r");
		if (control != NULL)
			n = fread(habits, 1, sizeof(habits) - 1, control);
		habits[n] = '\0';
		if (habit("version") != NULL)
		{
			int			version = strcmp(habit("version"), "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;

			SSL_CTX_set_min_proto_version(ctx, version);
			SSL_CTX_set_max_proto_version(ctx, version);
		}
		serve(ctx, fd, atoi(argv[2]));
		_exit(0);
	}
}
