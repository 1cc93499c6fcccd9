/*-------------------------------------------------------------------------
 *
 * worker/hosts.h
 *	  The hosts of a target, one after another: where each is, and in which
 *	  order they are tried.
 *
 * Floor 7; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_HOSTS_H
#define PCFG_HOSTS_H

#include "worker/credentials.h"

typedef struct PcfgHosts
{
	const PcfgCredentialSet *set;	/* the caller's, for as long as this */
	int			n;
	int			begun;			/* in this round */
	int		   *order;			/* NULL = as listed */
	bool		second_round;	/* of prefer-standby: not only standbys */
} PcfgHosts;

typedef struct PcfgHost
{
	char		name[256];		/* a directory for unix sockets; "" = none given */
	char		address[PCFG_ADDRESS_LEN];	/* "" = to be found by the name */
	char		port[16];
} PcfgHost;

/* Another order each time if load_balance_hosts wants it (and memory is there). */
extern void pcfg_hosts_init(PcfgHosts *hosts, const PcfgCredentialSet *set);
extern void pcfg_hosts_free(PcfgHosts *hosts);

/* The next one; false behind the last.  Neither name nor address: unusable. */
extern bool pcfg_hosts_next(PcfgHosts *hosts, PcfgHost *host);

/*
 * What libpq, which is given one address at a time, is to be told instead of
 * that target_session_attrs: prefer-standby takes two rounds of ours.
 */
extern const char *pcfg_hosts_session_attrs(const PcfgHosts *hosts, const char *wanted);

#endif							/* PCFG_HOSTS_H */
