/*-------------------------------------------------------------------------
 *
 * worker/credentials.c
 *	  What the worker knows of each pool's remote.
 *
 * Floor 6; worker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/credentials.h"

static PcfgCredentialSet **sets = NULL; /* by pool */

bool
pcfg_credentials_create(void)
{
	sets = calloc((size_t) pcfg_shared->npools, sizeof(*sets));
	return sets != NULL;
}

void
pcfg_credentials_release(PcfgCredentialSet *set)
{
	if (set == NULL || --set->references > 0)
		return;
	if (set->text != NULL)
		explicit_bzero(set->text, set->size);
	free(set->text);
	free(set->keywords);
	free(set->values);
	free(set->init);
	free(set);
}

/* The next string of the text, or NULL when it is not there in full. */
static const char *
next_string(const char **p, const char *end)
{
	const char *start = *p;
	const char *nul = start < end ? memchr(start, '\0', (size_t) (end - start)) : NULL;

	if (nul == NULL)
		return NULL;
	*p = nul + 1;
	return start;
}

/* Cuts the text into its strings; false when they are not as announced. */
static bool
cut_text(PcfgCredentialSet *set)
{
	const char *p = set->text;
	const char *end = set->text + set->size;
	int			i;

	for (i = 0; i < set->nparams; i++)
	{
		set->keywords[i] = next_string(&p, end);
		set->values[i] = next_string(&p, end);
		if (set->keywords[i] == NULL || set->values[i] == NULL)
			return false;
	}
	for (i = 0; i < set->ninit; i++)
	{
		set->init[i] = next_string(&p, end);
		if (set->init[i] == NULL)
			return false;
	}
	return p == end;
}

static PcfgCredentialSet *
make_set(const PcfgCredentials *message, size_t length)
{
	PcfgCredentialSet *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->references = 1;
	set->serial = message->serial;
	set->nparams = (int) message->nparams;
	set->ninit = (int) message->ninit;
	set->size = length - offsetof(PcfgCredentials, text);
	set->text = malloc(set->size + 1);
	set->keywords = calloc((size_t) set->nparams + 1, sizeof(char *));
	set->values = calloc((size_t) set->nparams + 1, sizeof(char *));
	set->init = calloc((size_t) set->ninit + 1, sizeof(char *));
	if (set->text != NULL)
		memcpy(set->text, message->text, set->size);
	if (set->text == NULL || set->keywords == NULL || set->values == NULL ||
		set->init == NULL || !cut_text(set))
	{
		pcfg_credentials_release(set);
		return NULL;
	}
	return set;
}

bool
pcfg_credentials_store(const PcfgCredentials *message, size_t length)
{
	PcfgCredentialSet *set;
	PcfgPool   *pool;

	if (length < offsetof(PcfgCredentials, text) ||
		message->pool < 0 || message->pool >= pcfg_shared->npools ||
		message->nparams > 1000 || message->ninit > 1000)
		return false;
	pool = &pcfg_pools[message->pool];
	if (pg_atomic_read_u32(&pool->serial) != message->serial)
		return true;			/* late; its pool is gone */
	set = make_set(message, length);
	if (set == NULL)
		return false;
	pcfg_credentials_release(sets[message->pool]);
	sets[message->pool] = set;
	pg_atomic_write_u32(&pool->credentials_life,
						pg_atomic_read_u32(&pcfg_shared->worker_life));
	return true;
}

PcfgCredentialSet *
pcfg_credentials_get(int pool, uint32 serial)
{
	PcfgCredentialSet *set = sets[pool];

	if (set == NULL || set->serial != serial)
		return NULL;
	set->references++;
	return set;
}

const char *
pcfg_credentials_value(const PcfgCredentialSet *set, const char *keyword)
{
	int			i;

	for (i = set->nparams - 1; i >= 0; i--)
	{
		if (strcmp(set->keywords[i], keyword) == 0)
			return set->values[i];
	}
	return NULL;
}

void
pcfg_credentials_sweep(void)
{
	int			i;

	for (i = 0; i < pcfg_shared->npools; i++)
	{
		if (sets[i] != NULL &&
			pg_atomic_read_u32(&pcfg_pools[i].serial) != sets[i]->serial)
		{
			pcfg_credentials_release(sets[i]);
			sets[i] = NULL;
		}
	}
}
