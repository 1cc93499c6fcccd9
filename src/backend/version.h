/*-------------------------------------------------------------------------
 *
 * backend/version.h
 *	  The SQL objects and the library are of one version, or say that not.
 *
 * Floor 1; backends.
 *
 * A library may be newer or older than the objects that the extension made in
 * this database.  A function whose signature is not the one that the library
 * knows must not run: it would take its arguments, or the columns of its
 * result, for something else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_VERSION_H
#define PCFG_VERSION_H

#include "shared/compat.h"

#include "funcapi.h"

/* As in pool_config.control. */
#define PCFG_VERSION	"1.0"

/* Errors with 55000 unless the function has so many arguments. */
extern void pcfg_require_arguments(FunctionCallInfo fcinfo, int n);

/*
 * Begins a materialized result; errors with 55000 unless it has so many
 * columns (1 also stands for a set of scalars).
 */
extern ReturnSetInfo *pcfg_begin_result(FunctionCallInfo fcinfo, int ncolumns);

#endif							/* PCFG_VERSION_H */
