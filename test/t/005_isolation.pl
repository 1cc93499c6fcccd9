# State that one session leaves at the remote is never met by another session
# or role; DDL on targets in use.
# Both transports.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote');
my $local  = start_local('local');

# one connection, so that everybody meets what his predecessor left
make_target($local, $remote, 'crm', pool_size => 1, max_overflow => 0);
$remote->safe_psql('postgres', q{
	CREATE TABLE public.t (a int);
	CREATE SEQUENCE public.s;
	CREATE FUNCTION public.escape() RETURNS text LANGUAGE plpgsql SET work_mem = '77MB' AS $f$
	BEGIN
		SET LOCAL work_mem = '78MB';
		RAISE EXCEPTION 'on purpose';
	END $f$;
	GRANT ALL ON t, s TO app;
	CREATE ROLE granted;
	GRANT granted TO app;
	GRANT ALL ON SCHEMA public TO app;
	CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'app-secret';
});
make_target($local, $remote, 'super', user => 'boss', pool_size => 1, max_overflow => 0);
$local->safe_psql('postgres', q{CREATE ROLE alice; GRANT USAGE ON FOREIGN SERVER crm, super TO alice});

# What is left behind, and what a stranger must then see, and words:
#	fails		the statement that would leave it is refused
#	transient	it ends with its transaction, so nobody could ever see it
#	super		needs a superuser of the remote
my $transactions = q{select count(*)::text from pg_stat_activity where state like 'idle in transaction%' and pid <> pg_backend_pid()};
my @kinds = (
	[ 'SET of a GUC', q{SET work_mem = '77MB'}, 'show work_mem', '4MB' ],
	[ 'set_config', q{SELECT set_config('work_mem', '77MB', false)}, 'show work_mem', '4MB' ],
	[ 'a custom GUC', q{SET my.tenant = '42'}, q{select coalesce(nullif(current_setting('my.tenant', true), ''), 'none')}, 'none' ],
	[ 'role', q{SET ROLE granted}, 'select current_user::text', 'app' ],
	[ 'session authorization', q{SET SESSION AUTHORIZATION granted}, 'select session_user::text', 'boss', 'super' ],
	[ 'search_path', q{SET search_path = pg_catalog}, 'show search_path', '"$user", public' ],
	[ 'statement_timeout', q{SET statement_timeout = '77s'}, 'show statement_timeout', '0' ],
	[ 'lock_timeout', q{SET lock_timeout = '77s'}, 'show lock_timeout', '0' ],
	[ 'read only', q{SET default_transaction_read_only = on}, 'show default_transaction_read_only', 'off' ],
	[ 'isolation', q{SET default_transaction_isolation = 'serializable'}, 'show default_transaction_isolation', 'read committed' ],
	[ 'session characteristics', q{SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, DEFERRABLE}, 'show default_transaction_deferrable', 'off' ],
	[ 'row security', q{SET row_security = off}, 'show row_security', 'on' ],
	[ 'replication role', q{SET session_replication_role = replica}, 'show session_replication_role', 'origin', 'super' ],
	[ 'time zone', q{SET timezone = 'Asia/Tokyo'}, q{select count(*)::text from pg_settings where name = 'TimeZone' and setting = 'Asia/Tokyo'}, '0' ],
	[ 'DateStyle', q{SET datestyle = 'German'}, 'show datestyle', 'ISO, MDY' ],
	[ 'IntervalStyle', q{SET intervalstyle = 'sql_standard'}, 'show intervalstyle', 'postgres' ],
	[ 'bytea_output', q{SET bytea_output = 'escape'}, 'show bytea_output', 'hex' ],
	[ 'extra_float_digits', q{SET extra_float_digits = 0}, 'show extra_float_digits', '3' ],
	[ 'client_encoding', q{SET client_encoding = 'LATIN1'}, 'show client_encoding', 'UTF8', 'fails' ],
	[ 'client_encoding by a function', q{SELECT set_config('client_encoding', 'LATIN1', false)}, 'show client_encoding', 'UTF8', 'fails' ],
	[ 'notice level', q{SET client_min_messages = 'error'}, 'show client_min_messages', 'notice' ],
	[ 'application_name', q{SET application_name = 'x'}, 'show application_name', 'pool_config' ],
	[ 'SET LOCAL', q{SET LOCAL work_mem = '77MB'}, 'show work_mem', '4MB', 'transient' ],
	[ 'set_config that is local', q{SELECT set_config('work_mem', '77MB', true)}, 'show work_mem', '4MB', 'transient' ],
	[ 'SET LOCAL that an error should undo', q{SELECT escape()}, 'show work_mem', '4MB', 'fails transient' ],
	[ 'a temporary table', q{CREATE TEMP TABLE t AS SELECT 77 AS a}, q{select count(*)::text from pg_class where relname = 't' and relpersistence = 't'}, '0' ],
	[ 'a temporary function', q{CREATE FUNCTION pg_temp.now() RETURNS int LANGUAGE sql AS 'select 77'}, q{select count(*)::text from pg_proc where proname = 'now' and pronamespace <> 'pg_catalog'::regnamespace}, '0' ],
	[ 'a temporary operator', q{CREATE OPERATOR pg_temp.= (FUNCTION = int4ne, LEFTARG = int, RIGHTARG = int)}, q{select count(*)::text from pg_operator where oprnamespace <> 'pg_catalog'::regnamespace}, '0' ],
	[ 'a prepared statement', q{PREPARE p AS SELECT 77}, 'select count(*)::text from pg_prepared_statements', '0' ],
	[ 'a session advisory lock', q{SELECT pg_advisory_lock(77)}, q{select count(*)::text from pg_locks where locktype = 'advisory'}, '0' ],
	[ 'LISTEN', q{LISTEN channel}, 'select count(*)::text from pg_listening_channels()', '0' ],
	[ 'a cursor WITH HOLD', q{DECLARE c CURSOR WITH HOLD FOR SELECT 77}, q{select count(*)::text from pg_cursors where name = 'c'}, '0' ],
	[ 'a cursor', q{DECLARE c CURSOR FOR SELECT 77}, q{select count(*)::text from pg_cursors where name = 'c'}, '0', 'fails transient' ],
	[ 'currval', q{SELECT nextval('s')}, q{select currval('s')::text}, qr/currval of sequence "s" is not yet defined/ ],
	[ 'lastval', q{SELECT nextval('s')}, q{select lastval()::text}, qr/lastval is not yet defined/ ],
	[ 'an open transaction', q{BEGIN}, $transactions, '0', 'transient' ],
	[ 'COMMIT AND CHAIN', q{COMMIT AND CHAIN}, $transactions, '0', 'fails transient' ],
	[ 'a failed transaction', q{DO $$ BEGIN RAISE 'on purpose'; END $$}, $transactions, '0', 'fails transient' ],
	[ 'a savepoint', q{SAVEPOINT a}, $transactions, '0', 'fails transient' ],
	[ 'a prepared transaction', q{PREPARE TRANSACTION 'a'}, 'select count(*)::text from pg_prepared_xacts', '0', 'transient' ],
	[ 'a large-object descriptor', q{SELECT lo_open(lo_create(0), 393216)}, q{select lo_tell(0)::text}, qr/invalid large-object descriptor/, 'transient' ],
	[ 'an exported snapshot', q{SELECT pg_export_snapshot()}, q{select count(*)::text from pg_ls_dir('pg_snapshots')}, '0', 'super transient' ],
	[ 'COPY from the client', q{COPY t FROM STDIN}, q{select 'right'}, 'right', 'fails transient' ],
	[ 'COPY to the client', q{COPY (SELECT 77) TO STDOUT}, q{select 'right'}, 'right', 'fails transient' ],
	[ 'replication mode', q{IDENTIFY_SYSTEM}, q{select 'right'}, 'right', 'fails transient' ],
);
my %session = (app => $remote->connstr('postgres') . ' user=app host=127.0.0.1 password=app-secret client_encoding=UTF8',
	boss => $remote->connstr('postgres') . ' user=boss host=127.0.0.1 password=app-secret');
for my $kind (@kinds)
{
	my ($name, $leave, $look, $expected, $words) = @$kind;
	my $fails     = ($words // '') =~ /fails/;
	my $super     = ($words // '') =~ /super/;
	my $target    = $super ? 'super' : 'crm';
	(my $quoted = $leave) =~ s/'/''/g;
	(my $looked = $look) =~ s/'/''/g;
	$leave = "SET client_min_messages = error; SELECT pool_config.exec('$target', '$quoted');";
	my $see = "SELECT * FROM pool_config.query('$target', '$looked') AS t(x text);";
	my $check = sub {
		my ($what, $out, $err) = @_;
		if (ref $expected) { like($err, $expected, $what) or diag($out); }
		else               { is($out, $expected, $what) or diag($err); }
	};

	# does the look see what there is to be seen?
	if (($words // '') !~ /fails|transient/)
	{
		my ($rc, $out) = $remote->psql('postgres', "SET application_name = 'pool_config'; SET extra_float_digits = 3; $kind->[1];\n\\echo -\n$look",
			connstr => $session{ $super ? 'boss' : 'app' }, on_error_stop => 0);
		$out =~ s/.*^-\n//ms;
		isnt($out, ref $expected ? '' : $expected, "would be seen: $name");
	}

	my ($rc, $out, $err) = $local->psql('postgres', $leave);
	is($rc, $fails ? 3 : 0, "left: $name") or diag($err);
	($rc, $out, $err) = $local->psql('postgres', $see);
	$check->("sec_S22: not met by the next session: $name", $out, $err);

	($rc, $out, $err) = $local->psql('postgres', "$leave\n\\echo -\nSET ROLE alice;\n$see", on_error_stop => 0);
	$out =~ s/.*^-\n//ms;
	$check->("sec_S22: not met by another role of the same session: $name", $out, $err);
}
fails_with($local, sprintf(q{SELECT pool_config.create_target('walsender', 'postgresql://app:app-secret@127.0.0.1:%d/postgres?sslmode=disable&replication=database');}, $remote->port),
	'HV00D', 'replication', 'a target in replication mode is refused');
$local->safe_psql('postgres', q{SELECT pool_config.drop_target('super')});
poll_until('one connection is left', sub { remote_sessions($remote) == 1 });

# what others could feel is gone soon, though nobody takes over
my $holder = start_psql($local, q{
	SET client_min_messages = error;
	SELECT pool_config.exec('crm', 'SELECT pg_advisory_lock(4711)');
	SELECT pool_config.exec('crm', 'LISTEN channel');
	SELECT pg_sleep(30)});
poll_until('a lock is left at the remote', sub {
	$remote->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}) == 1;
});
my $left = time;
poll_until('and is gone while its session lives', sub {
	$remote->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}) == 0;
});
cmp_ok(time - $left, '<', 4, 'within about a second');
is(remote_sessions($remote), 1, 'over the same connection');
kill_psql($holder);

# another effective role of the same session is a stranger, too
sql_ok($local, q{
	SET client_min_messages = error;
	SELECT pool_config.exec('crm', 'SET my.tenant = ''42''');
	SELECT * FROM pool_config.query('crm', 'select current_setting(''my.tenant'', true)') AS t(x text);
	SET ROLE alice;
	SELECT coalesce(nullif(x, ''), 'none') FROM pool_config.query('crm', 'select current_setting(''my.tenant'', true)') AS t(x text)},
	"SET\n42\nnone", 'not met by another role of the same session');

# a session that was interrupted between its lease and its first word has not
# reset anything, and is still a stranger at its next call
{
	my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	$local->safe_psql('postgres', q{SET client_min_messages = error; SELECT pool_config.exec('crm', 'SET my.tenant = ''42''')});
	kill 'STOP', $worker;
	my ($rc, $out, $err) = $local->psql('postgres', q{
		SET statement_timeout = '300ms';
		SELECT pool_config.exec('crm', 'select 1');
		RESET statement_timeout;
		\! kill -CONT } . $worker . q{
		SELECT coalesce(nullif(x, ''), 'none') FROM pool_config.query('crm', 'select current_setting(''my.tenant'', true)') AS t(x text)}, on_error_stop => 0);
	kill 'CONT', $worker;
	like($err, qr/statement timeout/, 'a call is cancelled before it has its connection');
	is($out, 'none', 'the next call of that session does not meet what a predecessor left');
}

# the warning that says so
my ($rc, $out, $err) = $local->psql('postgres', q{SELECT pool_config.exec('crm', 'SET work_mem = ''77MB''')});
like($err, qr/WARNING:.*\n?.*/, 'SET outside of a held connection gives a warning');

# init_sql holds after every reset
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', settings => '{"init_sql": "SET my.init = ''yes''; SET work_mem = ''5MB''"}')});
for (1 .. 3)
{
	sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select current_setting(''my.init'') || current_setting(''work_mem'')') AS t(x text)},
		'yes5MB', 'init_sql holds for each session');
}
fails_with($local, q{SELECT pool_config.alter_target('crm', settings => '{"init_sql": "SET datestyle = german"}');
	SELECT pool_config.exec('crm', 'select 1');}, '08001', 'init_sql failed: DateStyle must stay ISO, and IntervalStyle postgres',
	'init_sql that has dates written in a form that could be misread');
fails_with($local, q{SELECT pool_config.alter_target('crm', settings => '{"init_sql": "SET client_encoding = latin1"}');
	SELECT pool_config.exec('crm', 'select 1');}, '08001', 'init_sql failed: client_encoding must stay that of the local database',
	'... or text in another encoding');
$remote->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION pg_catalog.pg_backend_pid() FROM PUBLIC');
make_target($local, $remote, 'unasked', settings => q{'{"init_sql": "SET my.init = ''yes''"}'});
sql_ok($local, q{SELECT * FROM pool_config.query('unasked', 'select current_setting(''my.init'')') AS t(x text)},
	'yes', 'what else a login asks, and may not, does not undo init_sql');
$remote->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_backend_pid() TO PUBLIC');
fails_with($local, q{SELECT pool_config.alter_target('crm', settings => '{"init_sql": "SELECT 1/0"}');
	SELECT pool_config.exec('crm', 'select 1');}, '08001', 'init_sql failed: division by zero',
	'init_sql that fails is a failed connect');
$local->safe_psql('postgres', q{SELECT pool_config.reset_target('crm')});
is($local->safe_psql('postgres', q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', 'and leaves nothing behind');
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', pool_size => 3)});

# one round trip, the reset included: the remote sees both between two waits
$remote->append_conf('postgresql.conf', "log_statement = 'all'\nlog_line_prefix = '%p '");
$remote->reload;
poll_until('statements are logged', sub {
	my $offset = -s $remote->logfile;
	$local->safe_psql('postgres', q{SELECT pool_config.exec('crm', 'select 4711')});
	slurp_file($remote->logfile, $offset) =~ /DISCARD ALL.*select 4711/s;
});

# --- DDL in use
sub alive
{
	my ($condition) = @_;
	return $remote->safe_psql('postgres', "SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity WHERE application_name LIKE 'pool%'"
		  . ($condition ? " AND $condition" : '')) // '';
}
my $pid_call = q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(pid int)};
for my $ddl (q{ALTER SERVER crm OPTIONS (ADD application_name 'pool_a')},
	q{ALTER SERVER crm OPTIONS (SET application_name 'pool_b')},
	q{ALTER USER MAPPING FOR PUBLIC SERVER crm OPTIONS (SET password 'app-secret')},
	q{ALTER SERVER crm RENAME TO crm2; ALTER SERVER crm2 RENAME TO crm},
	q{SELECT pool_config.alter_target('crm', password => 'app-secret')})
{
	my $old     = $local->safe_psql('postgres', $pid_call);
	my $running = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(1.5)')});
	poll_until('a call runs', sub { alive(q{state = 'active' AND query LIKE '%pg_sleep%'}) ne '' });

	$local->safe_psql('postgres', "BEGIN; $ddl; ROLLBACK");
	$local->safe_psql('postgres', $ddl);
	my $new = $local->safe_psql('postgres', $pid_call);
	finish_psql($running);
	is($running->{out}, "SELECT 1\n", "a running call ends normally: $ddl");
	poll_until('old connections are closed', sub { alive("pid = $old") eq '' });
	isnt($new, $old, 'and new ones are used');
}

# a mapping is one role's: nobody else's connections end with it
$local->safe_psql('postgres', q{
	CREATE ROLE carol LOGIN; GRANT USAGE ON FOREIGN SERVER crm TO carol;
	CREATE USER MAPPING FOR carol SERVER crm OPTIONS (user 'app', password 'app-secret')});
for my $ddl (q{ALTER USER MAPPING FOR carol SERVER crm OPTIONS (SET password 'app-secret')}, q{DROP USER MAPPING FOR carol SERVER crm})
{
	my $hers = $local->safe_psql('postgres', "SET ROLE carol; $pid_call");
	my $others = $local->safe_psql('postgres', $pid_call);
	$local->safe_psql('postgres', "SET ROLE carol; $ddl");
	poll_until("her connections are closed: $ddl", sub { alive("pid = $hers") eq '' }, 10);
	is($local->safe_psql('postgres', $pid_call), $others, '... and those of others are kept');
}
my ($one, $two) = split /\n/, $local->safe_psql('postgres', "$pid_call;\nBEGIN;\nSAVEPOINT a;\nALTER SERVER crm OPTIONS (SET application_name 'pool_c');\nROLLBACK TO a;\nCOMMIT;\n$pid_call");
is($two, $one, 'what was rolled back changes nothing');
my $dropped = $local->safe_psql('postgres', $pid_call);
$local->safe_psql('postgres', q{SELECT pool_config.drop_target('crm')});
poll_until('connections of a dropped target are closed', sub { alive("pid = $dropped") eq '' });

# within one long transaction, too, the next call sees what another session did
make_target($local, $remote, 'crm');
my $long = start_psql($local, q{
	BEGIN;
	SET client_min_messages = error;
	DO $$
	DECLARE name text;
	BEGIN
		FOR i IN 1..600 LOOP
			SELECT * INTO name FROM pool_config.query('crm', 'show application_name') AS t(x text);
			EXIT WHEN name = 'pool_changed';
			PERFORM pool_config.exec('crm', 'select pg_sleep(0.05)');
		END LOOP;
		RAISE EXCEPTION 'last seen: %', name;
	END $$;});
poll_until('a long transaction calls', sub { alive(q{query LIKE '%pg_sleep(0.05)%'}) ne '' });
$local->safe_psql('postgres', q{ALTER SERVER crm OPTIONS (ADD application_name 'pool_changed')});
finish_psql($long);
like($long->{err}, qr/last seen: pool_changed/, 'a long transaction sees the change at its next call');
$local->safe_psql('postgres', q{SELECT pool_config.drop_target('crm')});

# a database is not held by a call that hangs
$local->safe_psql('postgres', 'CREATE DATABASE doomed');
$local->safe_psql('doomed', 'CREATE EXTENSION pool_config');
$local->safe_psql('doomed', sprintf(q{SELECT pool_config.create_target('crm', 'postgresql://app:app-secret@127.0.0.1:%d/postgres?sslmode=%s')}, $remote->port, $sslmode));
my $hung = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(77)')}, database => 'doomed');
poll_until('a call hangs', sub { alive(q{query LIKE '%pg_sleep(77)%' AND state = 'active'}) ne '' });
my $start = time;
$local->safe_psql('postgres', 'DROP DATABASE doomed WITH (FORCE)');
cmp_ok(time - $start, '<', 5, 'DROP DATABASE is not held up');
finish_psql($hung);
poll_until('and the remote statement is stopped', sub { alive(q{state = 'active' AND query LIKE '%pg_sleep(77)%'}) eq '' });

done_testing();
