/* src/pool_config--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pool_config" to load this file. \quit

-- A schema of that name may have been there.  Its owner may put into it what
-- callers would meet, so it has to be somebody who may do all that anyway.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
			WHERE n.nspname = 'pool_config' AND (r.rolsuper OR r.rolname = current_user)) THEN
		RAISE EXCEPTION 'schema "pool_config" belongs to somebody who is not superuser'
			USING ERRCODE = 'insufficient_privilege', HINT = 'Drop or rename the schema, or change its owner.';
	END IF;
END $$;

GRANT USAGE ON SCHEMA pool_config TO PUBLIC;

--
-- Targets
--

CREATE FUNCTION pool_config.validator(options text[], catalog oid)
RETURNS void
AS 'MODULE_PATHNAME', 'pcfg_sql_validator'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.validator(text[], oid) IS
'Checks the options of servers and user mappings of the wrapper pool_config; the server calls it.';

CREATE FUNCTION pool_config.handler()
RETURNS fdw_handler
AS 'MODULE_PATHNAME', 'pcfg_sql_handler'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.handler() IS
'Refuses foreign tables of the wrapper pool_config; the server calls it.';

CREATE FOREIGN DATA WRAPPER pool_config
    HANDLER pool_config.handler VALIDATOR pool_config.validator;
COMMENT ON FOREIGN DATA WRAPPER pool_config IS
'Servers of this wrapper are the targets of pool_config. Who may create targets needs USAGE on it.';

CREATE FUNCTION pool_config.create_target(
    target text, url text, connect_args jsonb DEFAULT NULL,
    pool_size int DEFAULT NULL, max_overflow int DEFAULT NULL,
    pool_timeout float8 DEFAULT NULL, pool_recycle float8 DEFAULT NULL,
    pool_pre_ping bool DEFAULT NULL, connect_timeout float8 DEFAULT NULL,
    settings jsonb DEFAULT NULL, password text DEFAULT NULL,
    role name DEFAULT 'public', replace bool DEFAULT false)
RETURNS text
AS 'MODULE_PATHNAME', 'pcfg_sql_create_target'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.create_target(text, text, jsonb, int, int, float8, float8, bool, float8, jsonb, text, name, bool) IS
'Makes a target: a foreign server of the wrapper pool_config, and a user mapping that holds user and password. url is an address as libpq, SQLAlchemy (postgresql+psycopg2://, +psycopg, +asyncpg) and others write it, or host=... user=...; connect_args gives keyword arguments of that driver as a JSON object. Times are in seconds; settings names every other setting: {"idle_timeout": "5min"}, and knows SQLAlchemy''s other words. Everything that is wrong is told at once, and nothing of the address is repeated. password wins over that of the address. role: whose mapping it is; public is everybody''s who has USAGE on the server. replace: a target of that name is changed to be just this. Returns one line that says what was made, without the password. CREATE SERVER and CREATE USER MAPPING do the same.';

CREATE FUNCTION pool_config.alter_target(
    target text, url text DEFAULT NULL, connect_args jsonb DEFAULT NULL,
    pool_size int DEFAULT NULL, max_overflow int DEFAULT NULL,
    pool_timeout float8 DEFAULT NULL, pool_recycle float8 DEFAULT NULL,
    pool_pre_ping bool DEFAULT NULL, connect_timeout float8 DEFAULT NULL,
    settings jsonb DEFAULT NULL, password text DEFAULT NULL,
    role name DEFAULT 'public')
RETURNS text
AS 'MODULE_PATHNAME', 'pcfg_sql_alter_target'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.alter_target(text, text, jsonb, int, int, float8, float8, bool, float8, jsonb, text, name) IS
'Changes a target; what is NULL stays as it is. A new address replaces the old one as a whole; settings stay. Calls under way end on the old connections; the next call sees the change.';

CREATE FUNCTION pool_config.reset_target(target text, VARIADIC settings text[] DEFAULT '{}')
RETURNS void
AS 'MODULE_PATHNAME', 'pcfg_sql_reset_target'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.reset_target(text, text[]) IS
'Gives settings of a target back their defaults, those of postgresql.conf: the named ones, or all.';

CREATE FUNCTION pool_config.drop_target(target text, missing_ok bool DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'pcfg_sql_drop_target'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.drop_target(text, bool) IS
'Drops a target with its user mappings; refuses while other objects depend on it.';

CREATE FUNCTION pool_config.parse_url(
    url text, connect_args jsonb DEFAULT NULL, driver text DEFAULT NULL)
RETURNS TABLE (keyword text, value text, source text)
AS 'MODULE_PATHNAME', 'pcfg_sql_parse_url'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.parse_url(text, jsonb, text) IS
'Shows how create_target() would read an address, the password as ********; connects to nothing and stores nothing. driver: whose names and reading count for an address that does not say so (libpq, psycopg2, psycopg, asyncpg). source: address, connect_args, or provider, for what the provider of the host suggests and nobody stores. Settings are in seconds.';

CREATE FUNCTION pool_config.targets(
    OUT target text, OUT owner text, OUT usable boolean, OUT wrapper text,
    OUT host text, OUT port text, OUT dbname text,
    OUT pool_size text,
    OUT max_overflow text,
    OUT target_limit text,
    OUT pool_timeout text,
    OUT pool_recycle text,
    OUT pool_pre_ping text,
    OUT pre_ping_after text,
    OUT pool_use_lifo text,
    OUT pool_reset text,
    OUT connect_timeout text,
    OUT connect_deadline text,
    OUT command_timeout text,
    OUT min_idle text,
    OUT idle_timeout text,
    OUT idle_lease_timeout text,
    OUT init_sql text,
    OUT pooler text,
    OUT sources jsonb)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_targets'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.targets() IS
'The rows of the view of that name, which has the description.';

CREATE VIEW pool_config.targets AS SELECT * FROM pool_config.targets();
GRANT SELECT ON pool_config.targets TO PUBLIC;
COMMENT ON VIEW pool_config.targets IS
'One row a target: servers of pool_config, and those of postgres_fdw and dblink_fdw, which have the defaults. usable: you have USAGE and a user mapping. Each setting is in effect with that value, and sources says where it comes from: option, session, postgresql.conf, provider (what suits the host''s provider) or default. Address and options are shown to the owner and to who has USAGE; secrets to nobody.';

--
-- Running remote SQL
--

-- Each function has three forms: without parameters, with VARIADIC text[] and
-- with VARIADIC "any". The second takes what drivers send without a type, the
-- third what has one.

CREATE FUNCTION pool_config.query(target text, sql text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_query'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION pool_config.query(text, text) IS
'Runs one statement on a target and returns its rows, columns by position: SELECT * FROM pool_config.query(''crm'', ''select id, name from customers'') AS t(id int, name text). The declared types need not be those of the remote: a value is converted by way of its text. Each call stands alone and is its own remote transaction: it is not undone when the local transaction rolls back, and what it SETs or PREPAREs does not outlive it. Remote errors arrive with their SQLSTATE and all fields; 08006 means that the connection was lost and the outcome is not known. Needs USAGE on the target. NULL for either argument gives no rows.';

CREATE FUNCTION pool_config.query(target text, sql text, VARIADIC params text[])
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_query'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION pool_config.query(text, text, text[]) IS
'As the form without parameters; $1, $2, ... in the statement are these texts, whose types the remote finds out from where they stand. They never become part of the statement''s text. VARIADIC ARRAY[...] passes as many as there are, NULL among them.';

CREATE FUNCTION pool_config.query(target text, sql text, VARIADIC params "any")
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_query'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION pool_config.query(text, text, "any") IS
'As the form without parameters; $1, $2, ... in the statement are these values. Strings and values of types that other servers may not know go as text whose type the remote finds out; values of built-in types go as what they are. Dates, numbers and bytes arrive exactly, whatever is set here or there. Example: SELECT * FROM pool_config.query(''crm'', ''select name from customers where id = $1 and city = $2'', 42, ''Bath'') AS t(name text).';

CREATE FUNCTION pool_config.query_as(row_type anyelement, target text, sql text)
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'pcfg_sql_query_as'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION pool_config.query_as(anyelement, text, text) IS
'As query(), with columns matched by name to those of a row type, so that no column list is needed: SELECT * FROM pool_config.query_as(NULL::customers, ''crm'', ''select * from customers''). The remote result must have each column of the row type exactly once and no other, in any order. Only the type of row_type counts, not its value.';

CREATE FUNCTION pool_config.query_as(row_type anyelement, target text, sql text, VARIADIC params text[])
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'pcfg_sql_query_as'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION pool_config.query_as(anyelement, text, text, text[]) IS
'As the form without parameters; $1, $2, ... in the statement are these texts, whose types the remote finds out from where they stand. They never become part of the statement''s text. VARIADIC ARRAY[...] passes as many as there are, NULL among them.';

CREATE FUNCTION pool_config.query_as(row_type anyelement, target text, sql text, VARIADIC params "any")
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'pcfg_sql_query_as'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION pool_config.query_as(anyelement, text, text, "any") IS
'As the form without parameters; $1, $2, ... in the statement are these values. Strings and values of types that other servers may not know go as text whose type the remote finds out; values of built-in types go as what they are. Dates, numbers and bytes arrive exactly, whatever is set here or there.';

CREATE FUNCTION pool_config.query_json(target text, sql text)
RETURNS SETOF jsonb
AS 'MODULE_PATHNAME', 'pcfg_sql_query_json'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION pool_config.query_json(text, text) IS
'As query(), with each row as one object whose keys are the names of the remote''s columns, so that no column list is needed: SELECT r->>''name'' FROM pool_config.query_json(''crm'', ''select * from customers'') AS r. Numbers, booleans, json and arrays of them keep their kind, all else becomes a string. The columns must have different names.';

CREATE FUNCTION pool_config.query_json(target text, sql text, VARIADIC params text[])
RETURNS SETOF jsonb
AS 'MODULE_PATHNAME', 'pcfg_sql_query_json'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION pool_config.query_json(text, text, text[]) IS
'As the form without parameters; $1, $2, ... in the statement are these texts, whose types the remote finds out from where they stand.';

CREATE FUNCTION pool_config.query_json(target text, sql text, VARIADIC params "any")
RETURNS SETOF jsonb
AS 'MODULE_PATHNAME', 'pcfg_sql_query_json'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION pool_config.query_json(text, text, "any") IS
'As the form without parameters; $1, $2, ... in the statement are these values, which go as in query().';

CREATE FUNCTION pool_config.exec(target text, sql text)
RETURNS text
AS 'MODULE_PATHNAME', 'pcfg_sql_exec'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION pool_config.exec(text, text) IS
'Runs a statement on a target and returns its command tag, such as UPDATE 3; rows, if any, are discarded. Without parameters several statements may stand in it, divided by semicolons: they are one transaction, and the last tag is returned. Otherwise as query().';

CREATE FUNCTION pool_config.exec(target text, sql text, VARIADIC params text[])
RETURNS text
AS 'MODULE_PATHNAME', 'pcfg_sql_exec'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION pool_config.exec(text, text, text[]) IS
'Runs one statement, as the form without parameters does; $1, $2, ... in the statement are these texts, whose types the remote finds out from where they stand. They never become part of the statement''s text. VARIADIC ARRAY[...] passes as many as there are, NULL among them.';

CREATE FUNCTION pool_config.exec(target text, sql text, VARIADIC params "any")
RETURNS text
AS 'MODULE_PATHNAME', 'pcfg_sql_exec'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION pool_config.exec(text, text, "any") IS
'Runs one statement, as the form without parameters does; $1, $2, ... in the statement are these values. Strings and values of types that other servers may not know go as text whose type the remote finds out; values of built-in types go as what they are. Dates, numbers and bytes arrive exactly, whatever is set here or there. Example: SELECT pool_config.exec(''crm'', ''update customers set name = $1 where id = $2'', ''Ada'', 42).';

CREATE FUNCTION pool_config.acquire(target text)
RETURNS void
AS 'MODULE_PATHNAME', 'pcfg_sql_acquire'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION pool_config.acquire(text) IS
'Keeps one connection to a target for this session and the current role: what query(), exec() and the like do on the target as this role goes to it, until release(). Temporary tables, SET, PREPARE, LISTEN, advisory locks and a transaction begun with exec(target, ''begin'') live on from call to call, also when local transactions commit, roll back or fail. Calls count: each acquire() needs its release(). DISCARD ALL and the end of the session release it, too. One that is not used for idle_lease_timeout is taken back. When the connection is lost, the next use fails with 08006, and so does each further one in the same local transaction; then it is over, and calls use other connections. A cancelled or half-read statement loses it. While DateStyle is not ISO there, or IntervalStyle not postgres, rows are refused, for they could be misread.';

CREATE FUNCTION pool_config.release(target text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pcfg_sql_release'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.release(text) IS
'Ends acquire(): the connection goes back to the pool, and nobody meets what was set there. A transaction that is open on it is rolled back, with a warning. False when the current role has acquired none, or it was lost.';

CREATE FUNCTION pool_config.join_transaction(
    target text, isolation text DEFAULT 'read committed', read_only bool DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'pcfg_sql_join_transaction'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION pool_config.join_transaction(text, text, bool) IS
'From here to the end of the local transaction, what the current role runs on the target is one transaction there: it commits just before the local one does and is rolled back with it, and what a subtransaction did (a block with EXCEPTION in PL/pgSQL, SAVEPOINT) is undone when that rolls back. It begins with the first statement; a transaction that ran none is told by a warning. Several targets may be joined: their COMMITs are sent together. This is not two-phase commit. When a remote refuses its COMMIT, the local transaction rolls back, and those on other targets may be committed: 08007 says which, also when the answer to a COMMIT is lost. And after the remotes have committed, the local commit can still fail, if seldom: a serialization failure, a full disk, a crash. PREPARE TRANSACTION is refused. Other roles, SECURITY DEFINER functions among them, are not part of it.';

CREATE FUNCTION pool_config.notifications(
    target text, wait float8 DEFAULT 0,
    OUT notify_name text, OUT be_pid int, OUT extra text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_notifications'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 10;
COMMENT ON FUNCTION pool_config.notifications(text, float8) IS
'The notifications that came to an acquired connection since the last call: after acquire(target) and exec(target, ''listen news''). Waits up to so many seconds for the first one. be_pid is the remote process that sent it, extra its payload. 10000 of them, or 4 MB, are kept meanwhile; how many were dropped beyond that is told by a warning.';

CREATE FUNCTION pool_config.create_function(
    signature text, target text, sql text,
    security_definer bool DEFAULT false, replace bool DEFAULT false)
RETURNS regprocedure
AS 'MODULE_PATHNAME', 'pcfg_sql_create_function'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.create_function(text, text, text, bool, bool) IS
'Makes an ordinary SQL function of a remote statement: SELECT pool_config.create_function(''customer(id int)'', ''crm'', ''select id, name from customers where id = $1''), then SELECT * FROM customer(42). The remote describes the statement, without running it; the function returns a table of its columns, or the command tag when it has none. Its ROWS are what the remote''s planner expects; with parameters it cannot tell, so they are 1000 until you ALTER FUNCTION ... ROWS 1, which a replacement keeps. Arguments have types, so every driver can bind them, and who may run it is told by GRANT EXECUTE; with security_definer its callers need no rights on the target. A column whose type is not known here is refused. replace: a function of that signature is changed. When the remote statement gets other columns later, check_functions() tells; make the function anew then.';

CREATE FUNCTION pool_config.check_functions(
    target text DEFAULT NULL,
    OUT function regprocedure, OUT ok boolean, OUT detail text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_check_functions'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.check_functions(text) IS
'Whether functions of create_function() are still what the remote has, which describes each of their statements anew and runs none: ok, or not and what has changed (columns that are gone, new or of another type, a table or function that is not there any more, arguments that do not fit). ok is NULL, with the reason, where the remote could not be asked. Those of one target, or of all, that you may execute. After a change: create_function(..., replace => true), or drop it first if its columns differ. SELECT * FROM pool_config.check_functions() WHERE ok IS NOT TRUE.';

--
-- Seeing
--

CREATE FUNCTION pool_config.pools(
    OUT target text, OUT mapping text, OUT size int, OUT overflow int,
    OUT open int, OUT idle int, OUT in_use int, OUT connecting int,
    OUT waiting int, OUT oldest_wait interval, OUT state text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_pools'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.pools() IS
'The rows of the view of that name, which has the description.';

CREATE VIEW pool_config.pools AS SELECT * FROM pool_config.pools();
GRANT SELECT ON pool_config.pools TO PUBLIC;
COMMENT ON VIEW pool_config.pools IS
'One row a pool of this database that you may see: the connections of one target through one user mapping. open = idle + in_use; connecting ones are not open yet; waiting sessions queue, the first since oldest_wait. state: ok, full (sessions wait and the limit is reached), down (nothing is connected and the last connect failed), paused, retired (its target was altered or dropped; it empties itself). Shown to the owner of the target, to who may use it, and to pg_monitor.';

CREATE FUNCTION pool_config.connections(
    OUT id int, OUT target text, OUT mapping text, OUT state text,
    OUT transport text, OUT tls boolean, OUT remote_pid int,
    OUT leased_by int, OUT held_by text, OUT leased_since timestamptz,
    OUT age interval, OUT idle_for interval, OUT uses bigint,
    OUT bytes_in bigint, OUT bytes_out bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_connections'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.connections() IS
'The rows of the view of that name, which has the description.';

CREATE VIEW pool_config.connections AS SELECT * FROM pool_config.connections();
GRANT SELECT ON pool_config.connections TO PUBLIC;
COMMENT ON VIEW pool_config.connections IS
'One row a connection of the pools that you may see. remote_pid is its backend at the remote; leased_by the local process that uses it now and held_by what for: a statement, acquire or transaction; uses counts leases; bytes_in came from the remote. Process ids of other sessions are for the owner of the target and for pg_monitor.';

CREATE FUNCTION pool_config.waiters(
    OUT pid int, OUT target text, OUT mapping text, OUT place int,
    OUT since timestamptz, OUT waited interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_waiters'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.waiters() IS
'The rows of the view of that name, which has the description.';

CREATE VIEW pool_config.waiters AS SELECT * FROM pool_config.waiters();
GRANT SELECT ON pool_config.waiters TO PUBLIC;
COMMENT ON VIEW pool_config.waiters IS
'One row a session that waits for a connection of a pool that you may see; place 1 is served next. Process ids of other sessions are for the owner of the target and for pg_monitor.';

CREATE FUNCTION pool_config.workers(
    OUT pid int, OUT started timestamptz, OUT heartbeat timestamptz,
    OUT life int, OUT slots int, OUT slots_limit int,
    OUT descriptors int, OUT descriptors_limit int, OUT rescued bigint,
    OUT stall_p999 float8, OUT stall_max float8, OUT last_error text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_workers'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.workers() IS
'The rows of the view of that name, which has the description.';

CREATE VIEW pool_config.workers AS SELECT * FROM pool_config.workers();
GRANT SELECT ON pool_config.workers TO PUBLIC;
COMMENT ON VIEW pool_config.workers IS
'The background worker that opens and keeps the connections, for pg_monitor: process id, start, the last turn of its loop (heartbeat), how often it was started (life), connections of all pools against pool_config.max_connections, its open descriptors against the limit of the process, waits that ended only because the waiter looked again by himself (rescued: anything but 0 is a fault of pool_config), for how many milliseconds events had to wait for it at most in 999 of 1000 turns of its loop (stall_p999) and ever (stall_max), and the last failure it met.';

CREATE FUNCTION pool_config.stats(
    OUT target text, OUT leases bigint, OUT queued bigint, OUT timeouts bigint,
    OUT refused bigint, OUT connects bigint, OUT connect_failures bigint,
    OUT pings bigint, OUT closes bigint, OUT close_reasons jsonb,
    OUT bytes_in bigint, OUT bytes_out bigint, OUT wait_seconds float8,
    OUT connect_seconds float8, OUT statement_seconds float8,
    OUT last_error text, OUT last_error_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_stats'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.stats() IS
'The rows of the view of that name, which has the description.';

CREATE VIEW pool_config.stats AS SELECT * FROM pool_config.stats();
GRANT SELECT ON pool_config.stats TO PUBLIC;
COMMENT ON VIEW pool_config.stats IS
'One row a target of this database that was used since the server started, over all its mappings; the numbers only rise, also when pools end and the worker restarts, until stats_reset(). leases: connections handed out; queued: calls that had to wait for one; timeouts: those whose pool_timeout ended; refused: those told at once why the last connect had failed. closes by close_reasons: age, idle, surplus, retired (altered or dropped), recycle, evicted (target_limit or max_connections), disconnect, pause, remote (it ended an idle one), ping (found dead), lost (during a use), doubt (a use was cancelled or failed half-way), died (the session that used it), reset (it failed), unused (idle_lease_timeout), unknown (a worker that ended). Seconds are sums; see histograms. last_error: of the last connect that failed.';

CREATE FUNCTION pool_config.histograms(
    OUT target text, OUT what text, OUT le float8, OUT count bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_histograms'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pool_config.histograms() IS
'The rows of the view of that name, which has the description.';

CREATE VIEW pool_config.histograms AS SELECT * FROM pool_config.histograms();
GRANT SELECT ON pool_config.histograms TO PUBLIC;
COMMENT ON VIEW pool_config.histograms IS
'How long it took, by target of this database: wait (from the call to the connection in hand), connect (name, connect, login, init_sql), statement (from the connection in hand to its return). count is of those that took at most le seconds, as in Prometheus; the sums are in stats.';

--
-- Steering: for the owner of the target
--

CREATE FUNCTION pool_config.pause(target text, wait float8 DEFAULT 60)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pcfg_sql_pause'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.pause(text, float8) IS
'Stops the use of a target, for instance while its server is maintained: no connection is handed out or made, idle ones are closed, those in use when they come back; calls queue until their pool_timeout. Waits so many seconds for the last connection to be closed and says whether it is; the target stays paused in either case, also for sessions and mappings to come, until resume(). For all targets: SELECT pool_config.pause(target) FROM pool_config.targets. For the owner of the target. Not undone by a rollback.';

CREATE FUNCTION pool_config.resume(target text)
RETURNS void
AS 'MODULE_PATHNAME', 'pcfg_sql_resume'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.resume(text) IS
'Ends pause(); who queues is served. For the owner of the target. Not undone by a rollback.';

CREATE FUNCTION pool_config.recycle(target text)
RETURNS int
AS 'MODULE_PATHNAME', 'pcfg_sql_recycle'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.recycle(text) IS
'Replaces every connection of a target, for instance after a failover: idle ones at once, those in use when they come back. What is known of failed connects is forgotten, so that the next call tries at once. Returns how many connections there were. For the owner of the target. Not undone by a rollback.';

CREATE FUNCTION pool_config.disconnect(target text, connection int DEFAULT NULL)
RETURNS int
AS 'MODULE_PATHNAME', 'pcfg_sql_disconnect'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.disconnect(text, int) IS
'Ends connections of a target now: the one with that id in the view connections, or all. What runs on them is cancelled, and its caller gets 08006. Returns how many. For the owner of the target. Not undone by a rollback.';

CREATE FUNCTION pool_config.prewarm(target text, n int)
RETURNS int
AS 'MODULE_PATHNAME', 'pcfg_sql_prewarm'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.prewarm(text, int) IS
'Opens connections of a target, for the user mapping of the current user, until there are n (pool_size at most), and waits for them until pool_timeout. Returns how many are open then. For the owner of the target. Not undone by a rollback.';

CREATE FUNCTION pool_config.stats_reset()
RETURNS void
AS 'MODULE_PATHNAME', 'pcfg_sql_stats_reset'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.stats_reset() IS
'Sets the numbers of stats and histograms to 0, of all targets of this database that the current user owns. Not undone by a rollback.';

--
-- What is the matter
--

CREATE FUNCTION pool_config.diagnose(target text)
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'pcfg_sql_diagnose'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.diagnose(text) IS
'What is the matter with a target, in sentences, each with what to type next: the worker, a pause, a remote that is down or refuses us, who holds the connections that others wait for, deadlocks over a target that leads back to this server, room at the remote. Asks the remote only when that takes no waiting. For who may use the target; process ids are for its owner and for pg_monitor.';

CREATE FUNCTION pool_config.check_target(
    target text, OUT step text, OUT ok boolean, OUT detail text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pcfg_sql_check_target'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pool_config.check_target(text) IS
'Goes the way of a call, step by step, as the current user: rights, mapping, worker, connect, the remote, how bytes travel (directly, or with TLS through the worker), whether a pooler stands in front, room for all connections that the pool may open. The first step that is not ok says what to do. Uses a connection of the pool.';
