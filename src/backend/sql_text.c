/*-------------------------------------------------------------------------
 *
 * backend/sql_text.c
 *	  What the text of statements tells without a parser.
 *
 * Floor 6; backends; no network.
 *
 * Only as much of SQL's lexical rules as is needed to tell which semicolon
 * ends a statement, and what a COPY is.  A mistake here is met by the
 * remote's parser, which refuses more than one statement: it cannot become an
 * injection, for the text is its owner's anyway.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/compat.h"

#include "backend/sql_text.h"

static bool
is_identifier_part(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || IS_HIGHBIT_SET(c);
}

/* Past a quoted piece that starts at p; backslash escapes if wanted. */
static const char *
skip_quoted(const char *p, bool escapes)
{
	char		quote = *p++;

	for (; *p != '\0'; p++)
	{
		if (escapes && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == quote)
			return p + 1;
	}
	return p;
}

/* Past a block comment, which may hold others. */
static const char *
skip_comment(const char *p)
{
	int			depth = 0;

	while (*p != '\0')
	{
		if (p[0] == '/' && p[1] == '*')
		{
			depth++;
			p += 2;
		}
		else if (p[0] == '*' && p[1] == '/')
		{
			p += 2;
			if (--depth == 0)
				return p;
		}
		else
			p++;
	}
	return p;
}

/* Past $tag$ ... $tag$, or past the dollar sign if that is not one. */
static const char *
skip_dollar(const char *p)
{
	const char *tag_end = p + 1;
	const char *q;
	size_t		len;

	while (is_identifier_part(*tag_end))
		tag_end++;
	if (*tag_end != '$' || (p[1] >= '0' && p[1] <= '9'))
		return p + 1;
	len = tag_end + 1 - p;
	for (q = tag_end + 1; *q != '\0'; q++)
	{
		if (strncmp(q, p, len) == 0)
			return q + len;
	}
	return q;
}

/* Past the next element; a single character unless it may hide a semicolon. */
static const char *
skip_element(const char *p)
{
	if (is_identifier_part(*p))
	{
		const char *start = p;

		while (is_identifier_part(*p) || *p == '$')
			p++;
		if (*p == '\'' && p - start == 1 && (*start == 'e' || *start == 'E'))
			return skip_quoted(p, true);
		return p;
	}
	if (*p == '\'' || *p == '"')
		return skip_quoted(p, false);
	if (*p == '$')
		return skip_dollar(p);
	if (p[0] == '/' && p[1] == '*')
		return skip_comment(p);
	if (p[0] == '-' && p[1] == '-')
		return p + strcspn(p, "\n\r");
	return p + 1;
}

static List *
add_statement(List *list, const char *start, const char *end)
{
	while (start < end && strchr(" \t\n\r\f\v", *start) != NULL)
		start++;
	return start < end ? lappend(list, pnstrdup(start, end - start)) : list;
}

List *
pcfg_sql_split(const char *text)
{
	List	   *list = NIL;
	const char *start = text;
	const char *p = text;
	int			depth = 0;

	if (text == NULL)
		return NIL;
	while (*p != '\0')
	{
		if (*p == '(')
			depth++;
		else if (*p == ')')
			depth--;
		if (*p == ';' && depth <= 0)
		{
			list = add_statement(list, start, p);
			start = p + 1;
			depth = 0;
		}
		p = skip_element(p);
	}
	return add_statement(list, start, p);
}

/* The word that starts at p, in small letters; "" for anything else. */
static void
read_word(const char *p, char *word, size_t size)
{
	size_t		n = 0;

	while (is_identifier_part(p[n]) && n + 1 < size)
	{
		word[n] = (p[n] >= 'A' && p[n] <= 'Z') ? p[n] + 'a' - 'A' : p[n];
		n++;
	}
	if (is_identifier_part(p[n]))
		n = 0;
	word[n] = '\0';
}

static bool
is_gap(const char *p)
{
	return strchr(" \t\n\r\f\v", *p) != NULL ||
		(p[0] == '/' && p[1] == '*') || (p[0] == '-' && p[1] == '-');
}

bool
pcfg_sql_copies_here(const char *text)
{
	char		word[8];
	char		before[8] = "";
	const char *p = text;
	int			depth = 0;
	bool		copy = false;

	for (; *p != '\0' && *p != ';'; p = skip_element(p))
	{
		if (is_gap(p))
			continue;
		read_word(p, word, sizeof(word));
		if (!copy && strcmp(word, "copy") != 0)
			return false;
		copy = true;
		depth += (*p == '(') - (*p == ')');
		if (depth == 0 &&
			((strcmp(before, "from") == 0 && strcmp(word, "stdin") == 0) ||
			 (strcmp(before, "to") == 0 && strcmp(word, "stdout") == 0)))
			return true;
		strlcpy(before, word, sizeof(before));
	}
	return false;
}

bool
pcfg_sql_chains(const char *text)
{
	char		word[8];
	char		before[8] = "";
	const char *p;

	for (p = text; *p != '\0'; p = skip_element(p))
	{
		if (is_gap(p))
			continue;
		read_word(p, word, sizeof(word));
		if (strcmp(before, "and") == 0 && strcmp(word, "chain") == 0)
			return true;
		strlcpy(before, word, sizeof(before));
	}
	return false;
}

bool
pcfg_sql_has_plan(const char *text)
{
	static const char *const words[] = {
		"select", "values", "table", "with", "insert", "update", "delete", "merge"
	};
	char		word[8];
	const char *p = text;
	int			i;

	while (*p != '\0' && (is_gap(p) || *p == '('))
		p = skip_element(p);
	read_word(p, word, sizeof(word));
	for (i = 0; i < lengthof(words); i++)
	{
		if (strcmp(word, words[i]) == 0)
			return true;
	}
	return false;
}
