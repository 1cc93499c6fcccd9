/*-------------------------------------------------------------------------
 *
 * worker/main.h
 *	  The background worker.
 *
 * Floor 12; postmaster (registration) and worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_WORKER_MAIN_H
#define PCFG_WORKER_MAIN_H

#include "postgres.h"

/* From _PG_init while the server preloads. */
extern void pcfg_worker_register(void);

/* Its entry point, looked up by name. */
extern PGDLLEXPORT void pcfg_worker_main(Datum arg);

#endif							/* PCFG_WORKER_MAIN_H */
