/*
 * fuzz_control.c
 *	  Whatever a client sends to the worker over its channel.
 *
 * The input is packets, each with its length (two bytes) in front.  The
 * worker's own code takes them; what it would ask of the rest stands here.
 */
#include "worker/credentials.c"

#define pcfg_packet_send send_nothing
static int	send_nothing(int sock, const void *data, size_t len, int fd);

#include "worker/clients.c"

#define MUST(condition)		do { if (!(condition)) abort(); } while (0)
#define NPOOLS	4
#define NSLOTS	8

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

PcfgShared *pcfg_shared;
PcfgPool   *pcfg_pools;
int			pcfg_control_pair[2];
struct Latch *MyLatch;

static bool channel_is_full;

static int
send_nothing(int sock, const void *data, size_t len, int fd)
{
	const PcfgSlotMessage *m = data;

	MUST(len == sizeof(*m) && m->slot >= 0 && m->slot < NSLOTS);
	(void) sock;
	(void) fd;
	return channel_is_full ? EAGAIN : 0;
}

void
SetLatch(Latch *latch)
{
	(void) latch;
}

bool
pcfg_watch_set(PcfgWatch *watch, int fd, int events)
{
	watch->fd = fd;
	watch->events = events;
	return true;
}

void
pcfg_watch_init(PcfgWatch *watch, PcfgWatchHandler handler, void *arg)
{
	memset(watch, 0, sizeof(*watch));
	watch->fd = -1;
	watch->handler = handler;
	watch->arg = arg;
}

void
pcfg_watch_remove(PcfgWatch *watch)
{
	watch->fd = -1;
}

int
pcfg_connection_socket(int slot, uint32 generation, uint64 use, uint32 owner)
{
	MUST(slot >= 0 && slot < NSLOTS);
	(void) use;
	(void) owner;
	return generation % 2 == 0 ? -1 : 0;
}

void
pcfg_connection_cancel(int slot, uint32 generation, uint64 use, uint32 owner)
{
	MUST(slot >= 0 && slot < NSLOTS);
	(void) generation;
	(void) use;
	(void) owner;
}

void
pcfg_connection_owner_died(uint32 owner, int pid)
{
	(void) owner;
	(void) pid;
}

static void
start(void)
{
	int			i;

	pcfg_shared = calloc(1, sizeof(*pcfg_shared));
	pcfg_pools = calloc(NPOOLS, sizeof(*pcfg_pools));
	MUST(pcfg_shared != NULL && pcfg_pools != NULL);
	pcfg_shared->npools = NPOOLS;
	pcfg_shared->nslots = NSLOTS;
	pcfg_shared->nwaiters = 2;
	for (i = 0; i < NPOOLS; i++)
		pg_atomic_init_u32(&pcfg_pools[i].serial, (uint32) i + 1);
	MUST(pcfg_credentials_create() && pcfg_clients_create());
}

/* What the worker makes of credentials that were taken. */
static void
use_credentials(void)
{
	int			i;

	for (i = 0; i < NPOOLS; i++)
	{
		PcfgCredentialSet *set = pcfg_credentials_get(i, (uint32) i + 1);
		int			k;

		if (set == NULL)
			continue;
		(void) pcfg_credentials_value(set, "host");
		for (k = 0; k < set->nparams; k++)
			MUST(strlen(set->keywords[k]) + strlen(set->values[k]) < set->size);
		for (k = 0; k < set->ninit; k++)
			MUST(strlen(set->init[k]) < set->size);
		MUST(set->keywords[set->nparams] == NULL);
		pcfg_credentials_release(set);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Client	   *client;

	if (pcfg_shared == NULL)
		start();
	client = &clients[0];
	client->pid = 1;
	client->sock = 0;
	client->nreplies = 0;
	if (size > 0)
		channel_is_full = data[0] & 1;
	while (size >= 2)
	{
		size_t		n = (size_t) data[0] << 8 | data[1];

		data += 2;
		size -= 2;
		if (n > size)
			n = size;
		memset(&incoming, 0xee, sizeof(incoming));
		memcpy(incoming.bytes, data, n);
		if (!serve_message(client, n))
			break;
		MUST(client->nreplies <= MAX_REPLIES);
		data += n;
		size -= n;
	}
	use_credentials();
	client->sock = -1;
	return 0;
}
