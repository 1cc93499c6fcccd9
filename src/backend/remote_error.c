/*-------------------------------------------------------------------------
 *
 * backend/remote_error.c
 *	  Errors and notices of a remote, as reports of ours.
 *
 * Floor 6; backends.
 *
 * The remote's words are untrusted: they are cut at a bound, made valid in
 * the database encoding, and given defaults where they are missing.  Its
 * severity never becomes ours: an error of the remote, FATAL or PANIC, is an
 * ERROR here.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/remote_error.h"
#include "mb/pg_wchar.h"

/* Longest field that is kept, in bytes. */
#define FIELD_MAX		((size_t) 1024 * 1024)

/* What of a statement is shown in the context, in bytes. */
#define STATEMENT_SHOWN	1000

struct PcfgRemoteError
{
	int			sqlstate;
	bool		has_sqlstate;	/* the remote sent a well-formed one */
	int			position;		/* character of the statement; 0 = not known */
	char	   *message;		/* never NULL */

	/* NULL when the remote did not send it */
	char	   *detail;
	char	   *hint;
	char	   *context;
	char	   *schema;
	char	   *table;
	char	   *column;
	char	   *datatype;
	char	   *constraint;
};

/*
 * A copy of at most "limit" bytes in the current context, cut at a character
 * and valid in the database encoding.
 */
static char *
copy_text(const char *text, size_t limit)
{
	int			encoding = GetDatabaseEncoding();
	size_t		len = strnlen(text, limit + 1);
	char	   *copy;
	char	   *p;

	if (len > limit)
		len = (size_t) pg_mbcliplen(text, (int) len, (int) limit);
	copy = pnstrdup(text, len);
	if (pg_verify_mbstr(encoding, copy, (int) len, true))
		return copy;
	for (p = copy; *p != '\0';)
	{
		int			n = pg_encoding_verifymbchar(encoding, p, (int) (copy + len - p));

		if (n < 0)
		{
			*p = '?';
			n = 1;
		}
		p += n;
	}
	return copy;
}

static char *
copy_field(const char *text)
{
	return text != NULL ? copy_text(text, FIELD_MAX) : NULL;
}

static bool
is_sqlstate(const char *s)
{
	return s != NULL && strlen(s) == 5 &&
		strspn(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5;
}

PcfgRemoteError *
pcfg_remote_error_copy(const PcfgFrame *frame)
{
	PcfgRemoteError *error = palloc0(sizeof(PcfgRemoteError));
	PcfgFields	fields;

	if (!pcfg_read_fields(frame, &fields))
		memset(&fields, 0, sizeof(fields));
	error->has_sqlstate = is_sqlstate(fields.sqlstate);
	error->sqlstate = error->has_sqlstate ?
		MAKE_SQLSTATE(fields.sqlstate[0], fields.sqlstate[1], fields.sqlstate[2],
					  fields.sqlstate[3], fields.sqlstate[4]) :
		ERRCODE_INTERNAL_ERROR;
	error->position = fields.position != NULL ? Max(atoi(fields.position), 0) : 0;
	error->message = copy_field(fields.message != NULL ? fields.message :
								"message not understood");
	error->detail = copy_field(fields.detail);
	error->hint = copy_field(fields.hint);
	error->context = copy_field(fields.context);
	error->schema = copy_field(fields.schema);
	error->table = copy_field(fields.table);
	error->column = copy_field(fields.column);
	error->datatype = copy_field(fields.datatype);
	error->constraint = copy_field(fields.constraint);
	return error;
}

int
pcfg_remote_error_sqlstate(const PcfgRemoteError *error)
{
	return error->sqlstate;
}

const char *
pcfg_remote_error_message(const PcfgRemoteError *error)
{
	return error->message;
}

/* What we know better than the remote, for errors that our way of sending
 * statements causes. */
static const char *
own_hint(const PcfgRemoteError *error)
{
	if (error->hint != NULL)
		return error->hint;
	if (error->sqlstate == ERRCODE_SYNTAX_ERROR &&
		strcmp(error->message, "cannot insert multiple commands into a prepared statement") == 0)
		return "Send one statement per call; pool_config.exec() without parameters takes several.";
	return NULL;
}

/* The line of the context that says where it happened. */
static void
add_place(const PcfgRemoteError *error, const char *target, const char *statement)
{
	char	   *shown;

	if (statement == NULL)
	{
		errcontext("on target \"%s\"", target);
		return;
	}
	shown = copy_text(statement, STATEMENT_SHOWN);
	if (error->position > 0)
		errcontext("remote statement on target \"%s\", at character %d: %s%s",
				   target, error->position, shown,
				   strlen(shown) < strlen(statement) ? " ..." : "");
	else
		errcontext("remote statement on target \"%s\": %s%s", target, shown,
				   strlen(shown) < strlen(statement) ? " ..." : "");
	pfree(shown);
}

static void
add_names(const PcfgRemoteError *error)
{
	if (error->schema != NULL)
		err_generic_string(PG_DIAG_SCHEMA_NAME, error->schema);
	if (error->table != NULL)
		err_generic_string(PG_DIAG_TABLE_NAME, error->table);
	if (error->column != NULL)
		err_generic_string(PG_DIAG_COLUMN_NAME, error->column);
	if (error->datatype != NULL)
		err_generic_string(PG_DIAG_DATATYPE_NAME, error->datatype);
	if (error->constraint != NULL)
		err_generic_string(PG_DIAG_CONSTRAINT_NAME, error->constraint);
}

/* Where a line tells a parameter's value, as in: $1 = 'x', $2 = NULL. */
static const char *
find_value(const char *text)
{
	const char *p;

	for (p = strchr(text, '$'); p != NULL; p = strchr(p + 1, '$'))
	{
		const char *end = p + 1 + strspn(p + 1, "0123456789");

		if (end > p + 1 && (strncmp(end, " = '", 4) == 0 || strncmp(end, " = NULL", 7) == 0))
			return p;
	}
	return NULL;
}

/*
 * The remote's context; has_params: up to the line that tells of parameters.
 * That is among the last ones, and values may be of several lines.
 */
static const char *
remote_context(const PcfgRemoteError *error, bool has_params)
{
	const char *value = has_params && error->context != NULL ? find_value(error->context) : NULL;

	if (value == NULL)
		return error->context;
	while (value > error->context && *value != '\n')
		value--;
	return value > error->context ? pnstrdup(error->context, value - error->context) : NULL;
}

/* Raises or reports, at our own severity. */
static void
report(int elevel, int sqlstate, const PcfgRemoteError *error,
	   const char *target, const char *statement, bool has_params)
{
	const char *hint = own_hint(error);
	const char *context = remote_context(error, has_params);

	ereport(elevel,
			(errcode(sqlstate),
			 errmsg_internal("%s", error->message),
			 error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
			 hint != NULL ? errhint("%s", hint) : 0,
			 context != NULL ? errcontext("%s", context) : 0,
			 add_place(error, target, statement),
			 add_names(error)));
}

void
pcfg_remote_error_throw(const PcfgRemoteError *error, const char *target,
						const char *statement, bool has_params)
{
	int			sqlstate = error->sqlstate;

	/* callers take class 00 for success */
	if (ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_SUCCESSFUL_COMPLETION)
		sqlstate = ERRCODE_INTERNAL_ERROR;
	report(ERROR, sqlstate, error, target, statement, has_params);
	pg_unreachable();
}

static int
notice_level(const char *severity)
{
	if (severity == NULL)
		return NOTICE;
	if (strcmp(severity, "WARNING") == 0)
		return WARNING;
	if (strcmp(severity, "INFO") == 0)
		return INFO;
	if (strncmp(severity, "DEBUG", 5) == 0)
		return DEBUG1;
	return NOTICE;
}

void
pcfg_remote_notice_report(const PcfgFrame *frame, const char *target)
{
	PcfgFields	fields;
	PcfgRemoteError *notice;
	MemoryContext scratch;
	MemoryContext old;
	int			level;

	if (!pcfg_read_fields(frame, &fields))
		fields.severity = NULL;
	level = notice_level(fields.severity);
	scratch = AllocSetContextCreate(CurrentMemoryContext, "pool_config notice",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(scratch);
	notice = pcfg_remote_error_copy(frame);
	report(level,
		   notice->has_sqlstate ? notice->sqlstate :
		   level == WARNING ? ERRCODE_WARNING : ERRCODE_SUCCESSFUL_COMPLETION,
		   notice, target, NULL, false);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}
