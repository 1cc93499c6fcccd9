/*-------------------------------------------------------------------------
 *
 * worker/login_failure.c
 *	  Why a login failed, and who may be told in which words.
 *
 * Floor 6; worker.
 *
 * Who answers is not known before the login is over, so what he says until
 * then is for superusers and the log only; others are told its meaning in our
 * own words.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "worker/login_failure.h"

/*
 * Copies text with line ends, control characters and bytes of an unknown
 * encoding made harmless.
 */
static void
copy_text(char *out, size_t size, const char *text)
{
	size_t		n = 0;

	for (; *text != '\0' && n + 1 < size; text++)
	{
		unsigned char c = (unsigned char) *text;

		if (c == '\n' && text[1] == '\0')
			break;
		out[n++] = c < ' ' || c == 0x7f ? ' ' : IS_HIGHBIT_SET(c) ? '?' : (char) c;
	}
	out[n] = '\0';
}

void
pcfg_login_failure_set(PcfgLoginFailure *failure, const char *sqlstate, const char *message)
{
	strlcpy(failure->sqlstate, sqlstate, sizeof(failure->sqlstate));
	copy_text(failure->message, sizeof(failure->message), message);
	failure->said[0] = '\0';
}

/*
 * Copies libpq's words.  Verbose errors carry the SQLSTATE behind the severity
 * and a line of source location: the one is taken out, the other left out.
 * True when there was an SQLSTATE.
 */
static bool
split_error(const char *text, char *sqlstate, char *out, size_t size)
{
	bool		found = false;
	size_t		n = 0;

	while (*text != '\0' && n + 1 < size)
	{
		if (strncmp(text, "LOCATION:", 9) == 0)
		{
			text += strcspn(text, "\n");
			continue;
		}
		if (n > 3 && strncmp(out + n - 3, ":  ", 3) == 0 &&
			strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
			text[5] == ':' && text[6] == ' ')
		{
			memcpy(sqlstate, text, 5);
			sqlstate[5] = '\0';
			found = true;
			text += 7;
			n--;
			continue;
		}
		out[n++] = *text++;
	}
	while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == ' '))
		n--;
	out[n] = '\0';
	return found;
}

/*
 * The meaning of a refusal in our own words, by its SQLSTATE or, where libpq
 * itself gave up, by a phrase of its.  The first %s is the user, the second
 * the database.
 */
static const struct
{
	const char *sign;
	const char *meaning;
}			meanings[] = {
	{"28P01", "the password of user \"%s\" was refused (password authentication failed)"},
	{"28000", "user \"%s\" is not let into database \"%s\" from here: see the remote's pg_hba.conf, and whether the role may log in"},
	{"3D000", "user \"%s\" has been let in, but database \"%s\" does not exist"},
	{"42501", "user \"%s\" has no right to connect to database \"%s\""},
	{"53300", "the remote server has no connection left for user \"%s\" in database \"%s\""},
	{"57P03", "the remote server is starting up, shutting down or recovering"},
	{"no password supplied", "a password was asked of user \"%s\": no password supplied by the user mapping"},
	{"channel binding", "channel binding was required, and could not be had"},
	{"authentication", "an authentication was asked of user \"%s\" that is not possible or not allowed here"},
	{"server closed the connection", "the connection was closed by the other side during the login"},
	{"could not receive data", "the connection was broken during the login"}
};

/* The meaning of what was said, if we know it. */
static void
interpret(const char *said, const char *sqlstate, const PcfgLoginPlace *place,
		  char *out, size_t size)
{
	size_t		i;

	for (i = 0; i < lengthof(meanings); i++)
	{
		bool		by_state = strspn(meanings[i].sign, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5;

		if (by_state ? sqlstate != NULL && strcmp(sqlstate, meanings[i].sign) == 0 :
			sqlstate == NULL && strstr(said, meanings[i].sign) != NULL)
		{
			snprintf(out, size, meanings[i].meaning, place->user, place->database);
			return;
		}
	}
	snprintf(out, size, "host %s port %s answered, but the login failed (SQLSTATE %s)",
			 place->host, place->port, sqlstate != NULL ? sqlstate : "08001");
}

/*
 * As long as only TCP was under way the words are the system's, and as long as
 * TLS was they are OpenSSL's, in a libpq that does not pass on what came in
 * plain text.
 */
void
pcfg_login_failure_read(PcfgLoginFailure *failure, const PGconn *conn,
						ConnStatusType before, const PcfgLoginPlace *place)
{
	char		sqlstate[6] = "08001";
	char		said[PCFG_CAUSE_LEN];
	char		meaning[PCFG_CAUSE_LEN];
	bool		found = split_error(PQerrorMessage(conn), sqlstate, said, sizeof(said));

	if (before == CONNECTION_STARTED || before == CONNECTION_NEEDED || before == CONNECTION_MADE ||
		(before == CONNECTION_SSL_STARTUP && PCFG_LIBPQ_HIDES_PLAIN_TEXT))
	{
		pcfg_login_failure_set(failure, "08001", said);
		return;
	}
	interpret(said, found ? sqlstate : NULL, place, meaning, sizeof(meaning));
	pcfg_login_failure_set(failure, sqlstate, meaning);
	copy_text(failure->said, sizeof(failure->said), said);
}
