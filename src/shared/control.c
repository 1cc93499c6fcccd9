/*-------------------------------------------------------------------------
 *
 * shared/control.c
 *	  The inherited pair on which backends say hello to the worker.
 *
 * Floor 3; postmaster.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>

#include "shared/control.h"
#include "shared/fdpass.h"

int			pcfg_control_pair[2] = {-1, -1};

void
pcfg_control_create(void)
{
	int			on = 1;
	int			error = pcfg_packet_pair(pcfg_control_pair);

	if (error == 0 &&
		setsockopt(pcfg_control_pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0)
		error = errno;
	if (error != 0)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("pool_config could not make its control channel: %s", strerror(error))));
}
