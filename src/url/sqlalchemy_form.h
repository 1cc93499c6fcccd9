/*-------------------------------------------------------------------------
 *
 * url/sqlalchemy_form.h
 *	  SQLAlchemy's form of address: postgresql+driver://
 *
 * Floor 4; backends; no server header, no ereport.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SQLALCHEMY_FORM_H
#define PCFG_SQLALCHEMY_FORM_H

#include "url/splitter.h"

/* From behind the "//". */
extern void pcfg_sqlalchemy_split(PcfgSplitter *s, const char *rest);

#endif							/* PCFG_SQLALCHEMY_FORM_H */
