/*-------------------------------------------------------------------------
 *
 * worker/password_file.h
 *	  A password that stands in a file of the server.
 *
 * Floor 6; worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_PASSWORD_FILE_H
#define PCFG_PASSWORD_FILE_H

#define PCFG_PASSWORD_MAX	1024	/* bytes, without the zero */

/*
 * Reads the one line of a file into "password".  NULL, or what is wrong, in
 * words that do not name the file.  Never waits: only ordinary files are
 * read.
 */
extern const char *pcfg_password_file_read(const char *path,
										   char password[PCFG_PASSWORD_MAX + 1]);

#endif							/* PCFG_PASSWORD_FILE_H */
