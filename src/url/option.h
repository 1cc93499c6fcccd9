/*-------------------------------------------------------------------------
 *
 * url/option.h
 *	  Which connection options a target may carry, and on whose authority.
 *
 * Floor 1; backends; no server header.  An allow-list: an option of libpq
 * that is not known here is refused, for it may read a file or use a
 * credential of the account that runs the server.
 *
 * Settings of the pool (setting_table.h) are not options of libpq; whoever
 * reads options of the wrapper pool_config asks pcfg_setting_find() first.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_OPTION_H
#define PCFG_OPTION_H

#include <stdbool.h>

typedef enum PcfgOptionClass
{
	PCFG_OPT_UNKNOWN,			/* no such option */
	PCFG_OPT_SERVER,			/* belongs on the server; anybody may set it */
	PCFG_OPT_MAPPING,			/* belongs on the user mapping: user, password,
								 * password_file, sslpassword,
								 * password_required */
	PCFG_OPT_PRIVILEGED,		/* names a file, a facility of the operating
								 * system or a credential of the server's
								 * account: for superusers and members of
								 * pg_read_server_files; on the server, and
								 * sslcert and sslkey on the mapping too */
	PCFG_OPT_REFUSED,			/* a pool never takes it */
	PCFG_OPT_IGNORED,			/* of postgres_fdw's or dblink_fdw's own */
	PCFG_OPT_UNSUPPORTED		/* known, but this libpq lacks it */
} PcfgOptionClass;

/*
 * The class of an option.  foreign_wrapper: on a server or mapping of
 * postgres_fdw or dblink_fdw, which have options of their own (IGNORED).
 * "password_file" and "password_required" are MAPPING though libpq does not
 * know them.
 */
extern PcfgOptionClass pcfg_option_classify(const char *name, bool foreign_wrapper);

/* True when libpq, as it is loaded, knows the keyword. */
extern bool pcfg_option_in_libpq(const char *name);

/* The version of PostgreSQL whose libpq brought the keyword; 0 = any. */
extern int	pcfg_option_since(const char *name);

/*
 * NULL when a value is legal for the keyword, as far as that can be told;
 * else what would be, for a hint: "require, verify-full", "1 to 65535".
 */
extern const char *pcfg_option_check_value(const char *name, const char *value);

/* True for an option that a user mapping of ours may carry. */
extern bool pcfg_option_fits_mapping(const char *name);

/*
 * True when a PRIVILEGED or REFUSED option with this value needs no
 * privilege or asks for what is done anyway: sslrootcert=system,
 * gssencmode=disable.  A REFUSED one of these is then simply left out.
 */
extern bool pcfg_option_value_is_harmless(const char *name, const char *value);

/* True when libpq can check a certificate against the system's own list. */
extern bool pcfg_option_has_system_roots(void);

/*
 * The legal option nearest to a mistyped one, or NULL: of a mapping, or of a
 * server (there the settings of the pool are candidates too).
 */
extern const char *pcfg_option_nearest(const char *name, bool mapping);

#endif							/* PCFG_OPTION_H */
