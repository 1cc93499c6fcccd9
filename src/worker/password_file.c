/*-------------------------------------------------------------------------
 *
 * worker/password_file.c
 *	  A password that stands in a file of the server.
 *
 * Floor 6; worker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/password_file.h"

/* What there is of the file, up to "size"; false with errno. */
static bool
read_some(int fd, char *buffer, size_t size, size_t *len)
{
	*len = 0;
	while (*len < size)
	{
		ssize_t		got = read(fd, buffer + *len, size - *len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0;
		*len += (size_t) got;
	}
	return true;
}

/* The line end that editors and "echo" leave is not meant. */
static const char *
check_line(char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	text[len] = '\0';
	if (len == 0)
		return "it is empty";
	if (len > PCFG_PASSWORD_MAX)
		return "it is too long";
	if (strlen(text) != len || strchr(text, '\n') != NULL)
		return "it is not one line of text";
	return NULL;
}

const char *
pcfg_password_file_read(const char *path, char password[PCFG_PASSWORD_MAX + 1])
{
	/* room for a line end, and one more to see that it is too long */
	char		buffer[PCFG_PASSWORD_MAX + 4];
	struct stat info;
	size_t		len = 0;
	const char *wrong = NULL;
	int			fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &info) != 0)
		wrong = strerror(errno);
	else if (!S_ISREG(info.st_mode))
		wrong = "it is not an ordinary file";
	else if (!read_some(fd, buffer, sizeof(buffer) - 1, &len))
		wrong = strerror(errno);
	(void) close(fd);
	if (wrong == NULL)
		wrong = check_line(buffer, len);
	if (wrong == NULL)
		strcpy(password, buffer);
	explicit_bzero(buffer, sizeof(buffer));
	return wrong;
}
