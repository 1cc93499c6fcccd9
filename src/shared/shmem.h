/*-------------------------------------------------------------------------
 *
 * shared/shmem.h
 *	  What stands in shared memory, and the contract for touching it.
 *
 * Floor 2; worker and backends.
 *
 * Lock order: directory_lock, then one pool's lock; never two pools' locks
 * at once.  Under either: no palloc, no catalog access, no ereport, no
 * system call.  The worker takes them too; it is never stopped while it
 * holds one except by the operating system.
 *
 * A slot's state word is the only field that two processes may race for.
 * All moves are made under the lock of the slot's pool, but for one: the
 * worker sets the condemn bit without it (fetch_or), so everybody who moves
 * a slot does so by compare-and-swap on the word he has read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PCFG_SHMEM_H
#define PCFG_SHMEM_H

#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "shared/clock.h"
#include "shared/setting_table.h"
#include "shared/slot_state.h"
#include "shared/stats.h"

#define PCFG_FINGERPRINT_LEN	32
#define PCFG_ADDRESS_ID_LEN		16
#define PCFG_TOKEN_LEN			16
#define PCFG_CAUSE_LEN			512
#define PCFG_NAME_LEN			64	/* NAMEDATALEN */
#define PCFG_TURN_BUCKETS		96
#define PCFG_POST_MAX			4096
#define PCFG_NONE				(-1)	/* no pool, slot, or waiter */

/* What makes two calls share connections: all of it. */
typedef struct PcfgPoolKey
{
	Oid			database;		/* local */
	Oid			server;			/* pg_foreign_server */
	Oid			mapping;		/* pg_user_mapping */
	/* HMAC over the effective connection options, secrets included */
	unsigned char fingerprint[PCFG_FINGERPRINT_LEN];

	/* of name and remote address; follows from the rest, is not compared */
	unsigned char address_id[PCFG_ADDRESS_ID_LEN];
} PcfgPoolKey;

/*
 * What pools of the same target have in common, whatever their database and
 * mapping: they count against one target_limit.  Same target: same name and
 * same remote address.
 */
typedef struct PcfgFamily
{
	/* under directory_lock */
	unsigned char id[PCFG_ADDRESS_ID_LEN];
	int			npools;			/* 0 = free */

	pg_atomic_uint32 nopen;		/* slots of all its pools that are not EMPTY */
} PcfgFamily;

/*
 * What is known of a target of one database beyond the life of its pools;
 * changed under directory_lock.
 */
typedef struct PcfgRecord
{
	Oid			database;		/* InvalidOid = free */
	Oid			server;
	bool		paused;
	PcfgTime	used_at;		/* last time one of its pools was made or ended */
	PcfgStats	stats;			/* of pools that have ended */
	PcfgTime	last_error_at;	/* 0 = none */
	char		last_error[PCFG_CAUSE_LEN];
} PcfgRecord;

/*
 * A connect that another attempt would only repeat: wrong password, unknown
 * database.  Kept by target and local role, so that a changed mapping buys
 * no attempt before its time; under directory_lock.
 */
typedef struct PcfgFailure
{
	Oid			database;		/* InvalidOid = free */
	Oid			server;
	Oid			mapping_user;	/* InvalidOid = PUBLIC */
	PcfgTime	retry_at;
	int			failures;
	char		sqlstate[6];
	char		message[PCFG_CAUSE_LEN];
} PcfgFailure;

/* Why the last connect of a pool failed; part of PcfgPool, under its lock. */
typedef struct PcfgCause
{
	char		sqlstate[6];	/* "" = none known */
	char		message[PCFG_CAUSE_LEN];	/* no secret in it, nor words of a
											 * remote that has not proved itself */
	char		said[PCFG_CAUSE_LEN];	/* those words, for superusers; "" = none */
	int			failures;		/* connects failed in a row */
	PcfgTime	retry_at;		/* no connect is reserved before */
	bool		lasting;		/* has a PcfgFailure */
} PcfgCause;

typedef struct PcfgPool
{
	/* changed under directory_lock and "lock"; readable under either */
	pg_atomic_uint32 serial;	/* 0 = free; another number at each reuse */
	PcfgPoolKey key;
	char		target[PCFG_NAME_LEN];	/* name of the server when it was made */
	Oid			mapping_user;	/* InvalidOid = PUBLIC */
	int			encoding;		/* of the local database: client_encoding */
	int			family;			/* index; valid while serial is not 0 */

	LWLock		lock;

	/* under lock */
	PcfgPolicy	policy;
	bool		retired;		/* its target was altered or dropped: no new
								 * lease, idle connections are closed */
	bool		paused;
	bool		pooled;			/* the first connection showed that a pooler stands
								 * in front of the remote */
	int			nopen;			/* slots that are not EMPTY, CONNECTING ones too */
	int			nconnecting;
	int			nidle;
	int			idle_head;		/* most recently returned; PCFG_NONE = empty */
	int			idle_tail;
	int			wait_head;		/* process numbers; FIFO, by ticket */
	int			wait_tail;
	uint64		last_ticket;	/* turns given out */
	PcfgCause	cause;
	bool		proven;			/* some connect succeeded: until then one is
								 * tried at a time */
	int			stillborn;		/* connections in a row that ended before their
								 * first use */
	PcfgTime	dialled_at;		/* last connect reserved */
	PcfgTime	suspect_since;	/* a connection broke: those that have not
								 * proved alive since are asked first; 0 = none */
	PcfgTime	last_used;		/* last lease or return */
	PcfgStats	stats;
	PcfgTime	last_error_at;	/* 0 = none */
	char		last_error[PCFG_CAUSE_LEN];
	PcfgTime	starving_since; /* waits for a slot of the server, or of its
								 * target's limit, since; 0 = no */

	/* atomic */
	pg_atomic_uint32 nwait;		/* waiters; changed under lock only */
	pg_atomic_uint32 credentials_life;	/* worker life that holds this pool's
										 * credentials; 0 = none */
} PcfgPool;

/* What a lease is for. */
typedef enum PcfgHeld
{
	PCFG_HELD_STATEMENT,		/* one call */
	PCFG_HELD_ACQUIRE,			/* several calls of its session */
	PCFG_HELD_TRANSACTION		/* the rest of a local transaction */
} PcfgHeld;

typedef struct PcfgSlot
{
	pg_atomic_uint64 word;		/* see slot_state.h */

	/* under the pool's lock */
	int			pool;			/* PCFG_NONE while EMPTY, and for a moment
								 * after it became CONNECTING */
	int			holder_pid;		/* of the last lease: a process number is
								 * given to the next process at once */
	int			prev_idle;		/* in the pool's idle list; PCFG_NONE = end */
	int			next_idle;
	bool		in_idle_list;
	bool		in_doubt;		/* condemned after use: half a message may have
								 * been written, so nothing more is */
	uint8		reason;			/* PcfgCloseReason, once condemned */
	uint8		held;			/* PcfgHeld, of the lease */
	PcfgTime	resting_since;	/* the holder keeps it without using it, since;
								 * 0 = it is in use */

	/*
	 * Written by the worker before the slot becomes IDLE for the first time,
	 * constant while the connection lives.
	 */
	uint32		generation;		/* another number for each connection */
	int			remote_pid;
	int			server_version; /* as PQserverVersion */
	bool		password_used;	/* the remote demanded the password */
	bool		relay;			/* TLS: bytes go through the worker */
	PcfgTime	connected_at;	/* while CONNECTING: reserved at */
	double		jitter;			/* this one's part of pool_recycle is less, 0
								 * to 0.1 */

	/* under the pool's lock; the holder reads it without */
	PcfgTime	recycle_at;		/* PCFG_FOREVER = never */

	/* end the session of the holder, too; the worker does, and resets it */
	pg_atomic_uint32 kill;

	/* written by the holder only */
	Oid			last_role;		/* effective local role of the last lease */
	PcfgTime	alive_at;		/* the remote answered last */
	bool		dirty;			/* not reset since its last lease */
	bool		owed;			/* it was told to roll back, and its answer is
								 * unread */
	PcfgTime	leased_at;
	PcfgTime	returned_at;
	uint64		uses;
	uint64		bytes_sent;
	uint64		bytes_received;

	/*
	 * What becomes of the statement that the holder left to the worker: its
	 * use << 2 | PcfgPostState.  Offered under the pool's lock; taken by the
	 * worker, or back by the holder, by compare-and-swap.
	 */
	pg_atomic_uint64 post;
} PcfgSlot;

typedef enum PcfgPostState
{
	PCFG_POST_NONE,
	PCFG_POST_OFFERED,			/* to be sent by the worker */
	PCFG_POST_SENT				/* is being sent, or was */
} PcfgPostState;

static inline uint64
pcfg_post_word(uint64 use, PcfgPostState state)
{
	return use << 2 | (uint64) state;
}

typedef enum PcfgWaitState
{
	PCFG_WAIT_NONE,
	PCFG_WAIT_QUEUED,
	PCFG_WAIT_GRANTED,
	PCFG_WAIT_FAILED
} PcfgWaitState;

/* One a process, by process number. */
typedef struct PcfgWaiter
{
	pg_atomic_uint32 state;		/* PcfgWaitState; set under the pool's lock */

	/* under the pool's lock */
	int			pool;
	int			prev;
	int			next;
	uint32		serial;			/* of the pool */
	int			slot;			/* valid when GRANTED */
	PcfgTime	since;
	uint64		ticket;			/* my turn; kept while one call tries again */
	int			pid;			/* mine */
	uint64		word;			/* of the slot as it was granted to me */

	pg_atomic_uint32 posted;	/* my post stands; set by me, while QUEUED */
} PcfgWaiter;

/*
 * What a waiter wants to have said on the connection that comes; one a
 * process.  Written by it alone, and not while it stands as posted or a slot
 * offers it.
 */
typedef struct PcfgPost
{
	/* who may send it, and the kind of connection that it is meant for */
	uint32		life;			/* of the worker */
	int			server_version;
	bool		password_used;

	uint32		len;
	char		data[PCFG_POST_MAX];
} PcfgPost;

typedef struct PcfgShared
{
	/* immutable after start-up */
	unsigned char start_token[PCFG_TOKEN_LEN];	/* proves a hello to be of this
												 * start of the server */
	unsigned char hmac_key[PCFG_FINGERPRINT_LEN];
	int			nslots;
	int			npools;			/* families, too */
	int			nwaiters;
	int			nrecords;
	int			nfailures;

	LWLock		directory_lock;

	/* under directory_lock */
	uint32		last_serial;
	uint32		making_place;	/* serial of the pool retired last for its place */
	PcfgPolicy	defaults;		/* of postgresql.conf, as the worker read it */
	bool		defaults_known;

	/* atomic */
	pg_atomic_uint32 worker_life;	/* counts worker starts; 0 = none yet */
	pg_atomic_uint32 worker_procno; /* 1 + process number; 0 = no worker */
	pg_atomic_uint32 worker_pid;
	pg_atomic_uint64 worker_started;	/* PcfgTime */
	pg_atomic_uint32 worker_short_lives;	/* in a row, up to now */
	pg_atomic_uint64 worker_beat;	/* PcfgTime of the last turn of its loop */
	pg_atomic_uint32 worker_fds;	/* descriptors in use, about */
	pg_atomic_uint32 worker_fd_limit;
	pg_atomic_uint32 worker_sleeps; /* it has to be woken for a post */
	pg_atomic_uint32 nstarving; /* pools that wait for a place */
	pg_atomic_uint64 rescued;	/* waits ended by the safety net: a bug if > 0 */

	/*
	 * Written by the worker: how often it worked for how long before it looked
	 * for events again.  Bucket 4 * b + q - 4 holds times from (4 + q) * 2^(b - 2)
	 * microseconds on, b >= 2; buckets 0 to 3 one microsecond each.
	 */
	uint64		turns[PCFG_TURN_BUCKETS];

	/* written by the worker; a torn read shows a garbled text, no more */
	char		worker_error[PCFG_CAUSE_LEN];
} PcfgShared;

/* NULL when the library was not preloaded. */
extern PcfgShared *pcfg_shared;
extern PcfgPool *pcfg_pools;
extern PcfgSlot *pcfg_slots;
extern PcfgWaiter *pcfg_waiters;
extern PcfgPost *pcfg_posts;	/* by process number */
extern pg_atomic_uint64 *pcfg_offers;	/* a bit a slot that has an offer */
extern PcfgFamily *pcfg_families;
extern PcfgRecord *pcfg_records;
extern PcfgFailure *pcfg_failures;

/* From _PG_init while the server preloads. */
extern void pcfg_shmem_install_hooks(void);

/* Error 55000 with the hint that fixes it unless the library was preloaded. */
extern void pcfg_require_preload(void);

/*
 * Wakes a process by its number.  A number whose process is gone or
 * replaced gives a harmless spurious wake-up.
 */
extern void pcfg_wake_process(int procno);
extern void pcfg_wake_worker(void);

/* Words of pcfg_offers. */
#define PCFG_OFFER_BITS		64
#define PCFG_OFFER_WORDS(n)	(((n) + PCFG_OFFER_BITS - 1) / PCFG_OFFER_BITS)

#endif							/* PCFG_SHMEM_H */
