/*-------------------------------------------------------------------------
 *
 * backend/ddl_watch.h
 *	  Retires the pools of targets that a committed DDL command changed.
 *
 * Floor 11; backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_DDL_WATCH_H
#define PCFG_DDL_WATCH_H

/* From _PG_init while the server preloads. */
extern void pcfg_ddl_watch_install(void);

/*
 * Takes note that mappings of that server were changed, for the one command
 * that the server does not tell us of; no server of that name is harmless.
 */
extern void pcfg_ddl_watch_note_server(const char *name);

#endif							/* PCFG_DDL_WATCH_H */
