/*-------------------------------------------------------------------------
 *
 * worker/clients.h
 *	  The control channels of the backends.
 *
 * Floor 11; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_CLIENTS_H
#define PCFG_CLIENTS_H

#include <stdbool.h>

/* At the worker's start; false when there is no memory or no pair. */
extern bool pcfg_clients_create(void);

/* Channels open. */
extern int	pcfg_clients_count(void);

#endif							/* PCFG_CLIENTS_H */
