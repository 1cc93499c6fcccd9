/*
 * tap.h
 *	  As much of the Test Anything Protocol as the unit tests need.
 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stdio.h>

static int	tap_count = 0;
static int	tap_failed = 0;

/* One test; says where when it failed. */
#define ok(condition, ...) \
	tap_ok((condition), __FILE__, __LINE__, __VA_ARGS__)

static void __attribute__((format(printf, 4, 5)))
tap_ok(bool condition, const char *file, int line, const char *format, ...)
{
	char		name[256];
	__builtin_va_list args;

	__builtin_va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	__builtin_va_end(args);
	tap_count++;
	printf("%sok %d - %s\n", condition ? "" : "not ", tap_count, name);
	if (!condition)
	{
		tap_failed++;
		printf("# failed at %s line %d\n", file, line);
	}
	fflush(stdout);
}

/* Last in main: the plan, and the exit status. */
static int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif							/* TAP_H */
