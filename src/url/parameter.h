/*-------------------------------------------------------------------------
 *
 * url/parameter.h
 *	  Names of connection parameters, here and with other drivers, and texts
 *	  that nobody means.
 *
 * Floor 1; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_PARAMETER_H
#define PCFG_PARAMETER_H

#include <stdbool.h>

/*
 * What is wrong with a parameter of that name (not its value), or NULL when
 * libpq takes it.  *hint may be set.  Names of other drivers are known.
 */
extern const char *pcfg_parameter_check_name(const char *name, const char **hint);

/* True for text that nobody means as a password: [YOUR-PASSWORD], ****. */
extern bool pcfg_parameter_is_placeholder(const char *text);

/* False with a control character, or where the text is not UTF-8. */
extern bool pcfg_parameter_is_sound(const char *text);

#endif							/* PCFG_PARAMETER_H */
