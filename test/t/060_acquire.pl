# acquire, release, notifications: one connection kept for several calls.
# Both transports.
use strict;
use warnings;
use FaultProxy;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $remote = start_remote('remote');
my $local  = start_local('local');
my $proxy  = FaultProxy->new($remote->port);

make_target($local, $remote, 'crm', pool_size => 2, max_overflow => 0);
make_target($local, $remote, 'one', pool_size => 1, max_overflow => 0);
make_target($local, $remote, 'frail', port => $proxy->port, pool_size => 2);
$local->safe_psql('postgres', q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
	GRANT USAGE ON FOREIGN SERVER crm, one, frail TO alice, bob});
$remote->safe_psql('postgres', q{CREATE TABLE public.t (a int); GRANT ALL ON t TO app});

# The pool's connections: open, in use.
sub pool
{
	my ($target) = @_;

	return $local->safe_psql('postgres', "SELECT string_agg(open || ' ' || in_use, ',') FROM pool_config.pools WHERE target = '$target' AND state <> 'retired'");
}

sub at_rest
{
	my ($target, $what) = @_;

	poll_until("$what: nothing is held", sub { pool($target) =~ /^\d+ 0$/ });
}

my $one = 'SELECT x FROM pool_config.query';

# --- what a session leaves at the remote lives on from call to call
{
	my $s = open_psql($local);
	is(talk($s, q{SELECT pool_config.acquire('crm')}), '', 'acquire');
	is($local->safe_psql('postgres', q{SELECT held_by FROM pool_config.connections WHERE leased_by IS NOT NULL}), 'acquire', 'the view says what holds it');
	is(talk($s, q{SELECT pool_config.exec('crm', 'create temp table mine (a int)')}), 'CREATE TABLE', 'a temporary table');
	is(talk($s, q{SELECT pool_config.exec('crm', 'insert into mine select generate_series(1, $1)', 3)}), 'INSERT 0 3', '... is there in the next call');
	is(talk($s, q{SELECT pool_config.exec('crm', $$set my.own = 'yes'$$)}), 'SET', 'no warning of SET');
	is(talk($s, q{SELECT pool_config.exec('crm', 'prepare p as select count(*)::int from mine')}), 'PREPARE', '... nor of PREPARE');
	is(talk($s, qq{$one('crm', 'execute p') AS t(x int)}), '3', 'a prepared statement');
	talk($s, 'BEGIN'); talk($s, qq{$one('crm', 'execute p') AS t(x int)}); talk($s, 'ROLLBACK');
	is(talk($s, qq{$one('crm', 'show my.own') AS t(x text)}), 'yes', 'a local rollback leaves it');
	like(talk($s, 'SELECT 1/0'), qr/22012/, 'a local error');
	like(talk($s, q{SELECT pool_config.exec('crm', 'select 1/0')}), qr/22012/, 'a remote error');
	is(talk($s, qq{$one('crm', 'execute p') AS t(x int)}), '3', '... leave it');
	is(talk($s, qq{$one('crm', 'execute p') AS t(x int)}), '3', '... again') for 1 .. 4;

	# many calls of one statement are prepared, and a transaction does not mind
	for my $i (1 .. 4) { is(talk($s, qq{$one('crm', 'select count(*)::int from mine') AS t(x int)}), '3', "repeated $i"); }
	is(talk($s, q{SELECT pool_config.exec('crm', 'deallocate all')}), 'DEALLOCATE ALL', 'everything prepared is gone');
	is(talk($s, q{SELECT pool_config.exec('crm', 'begin')}), 'BEGIN', 'a remote transaction');
	is(talk($s, qq{$one('crm', 'select count(*)::int from mine') AS t(x int)}), '3', '... is not failed by what was prepared');
	is(talk($s, q{SELECT pool_config.exec('crm', 'insert into t values (1)')}), 'INSERT 0 1', '... goes on over calls');
	is($remote->safe_psql('postgres', 'SELECT count(*) FROM t'), '0', '... and is open');
	is(talk($s, q{SELECT pool_config.exec('crm', 'commit')}), 'COMMIT', '... until its end');
	is($remote->safe_psql('postgres', 'SELECT count(*) FROM t'), '1', '... and is done');

	# counted
	talk($s, q{SELECT pool_config.acquire('crm')});
	is(talk($s, q{SELECT pool_config.release('crm')}), 't', 'the inner release');
	is(talk($s, qq{$one('crm', 'show my.own') AS t(x text)}), 'yes', '... keeps it');
	is(talk($s, q{SELECT pool_config.release('crm')}), 't', 'the outer release');
	is(talk($s, q{SELECT pool_config.release('crm')}), 'f', '... and no more');
	is(talk($s, qq{$one('crm', \$\$select coalesce(current_setting('my.own', true), '')\$\$) AS t(x text)}), '', 'the same session meets nothing of it');
	like(talk($s, q{SELECT pool_config.exec('crm', 'set my.own = 1')}), qr/WARNING.*does not outlive this call.*acquire\(\)/s, 'a warning of SET elsewhere');
	at_rest('crm', 'released');

	# transactions that are left open
	talk($s, q{SELECT pool_config.acquire('crm'); SELECT pool_config.exec('crm', 'begin'); SELECT pool_config.exec('crm', 'insert into t values (2)')});
	like(talk($s, q{SELECT pool_config.release('crm')}), qr/^t\nWARNING.*rolled back/s, 'an open transaction is told at release');
	is($local->safe_psql('postgres', q{SELECT close_reasons ? 'doubt' FROM pool_config.stats WHERE target = 'crm'}), 't', '... the connection was closed for it');
	poll_until('... and rolled back', sub { remote_sessions($remote, "state LIKE 'idle in%'") == 0 });
	is($remote->safe_psql('postgres', 'SELECT count(*) FROM t'), '1', '... it left nothing');
	talk($s, q{SELECT pool_config.acquire('crm'); SELECT pool_config.exec('crm', 'begin')});
	like(talk($s, q{SELECT pool_config.exec('crm', 'select 1/0')}), qr/22012/, 'a transaction fails');
	like(talk($s, q{SELECT pool_config.exec('crm', 'select 1')}), qr/25P02/, '... and stays so');
	is(talk($s, q{SELECT pool_config.exec('crm', 'rollback')}), 'ROLLBACK', '... until it is rolled back');
	is(talk($s, q{SELECT pool_config.release('crm')}), 't', '... then release is quiet');

	# DISCARD ALL
	talk($s, q{SELECT pool_config.acquire('crm'); SELECT pool_config.acquire('crm'); SELECT pool_config.exec('crm', 'set my.own = 2')});
	talk($s, 'DISCARD ALL');
	is(talk($s, q{SELECT pool_config.release('crm')}), 'f', 'DISCARD ALL releases');
	is(talk($s, qq{$one('crm', \$\$select coalesce(current_setting('my.own', true), '')\$\$) AS t(x text)}), '', '... and what was set is gone');
	close_psql($s);
	at_rest('crm', 'the session ended');
}

# --- roles
{
	my $s = open_psql($local);
	talk($s, q{SELECT pool_config.acquire('crm'); SELECT pool_config.exec('crm', 'create temp table mine (a int)'); SELECT pool_config.exec('crm', $$set my.own = 'secret'$$)});
	talk($s, 'SET ROLE alice');
	is(talk($s, qq{$one('crm', \$\$select coalesce(current_setting('my.own', true), '')\$\$) AS t(x text)}), '', 'another role uses another connection');
	is(talk($s, q{SELECT pool_config.release('crm')}), 'f', '... and releases nothing');
	talk($s, q{SELECT pool_config.acquire('crm')});
	talk($s, q{SELECT pool_config.exec('crm', $$set my.own = 'alice'$$)});
	talk($s, 'RESET ROLE');
	is(talk($s, qq{$one('crm', 'show my.own') AS t(x text)}), 'secret', 'each has its own');
	talk($s, 'SET ROLE bob');
	like(talk($s, q{SELECT pool_config.exec('crm', 'select 1')}), qr/53300.*holds all connections.*release\(\)/s, 'who would wait for himself is told');
	talk($s, 'RESET ROLE');
	$local->safe_psql('postgres', 'REVOKE USAGE ON FOREIGN SERVER crm FROM alice');
	talk($s, 'SET ROLE alice');
	like(talk($s, q{SELECT pool_config.exec('crm', 'select 1')}), qr/42501/, 'rights are checked at each call');
	is(talk($s, q{SELECT pool_config.release('crm')}), 't', '... not at the release');
	talk($s, 'RESET ROLE');
	$local->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER crm TO alice');

	# a mapping of her own takes the place of that for all
	my $a = open_psql($local, user => 'alice');
	talk($a, q{SELECT pool_config.acquire('crm')});
	$local->safe_psql('postgres', q{CREATE USER MAPPING FOR alice SERVER crm OPTIONS (user 'app', password 'app-secret')});
	like(talk($a, q{SELECT pool_config.exec('crm', 'select 1')}), qr/08006.*another user mapping/s, 'another mapping is another identity');
	is(talk($a, q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', '... and the next call goes there');
	$local->safe_psql('postgres', q{DROP USER MAPPING FOR alice SERVER crm});
	close_psql($a);
	close_psql($s);
	at_rest('crm', 'roles');
}

# --- who was superuser may not go on without a password
{
	make_target($local, $remote, 'open', user => 'trusted', role => "'bob'", sslmode => 'disable');
	$local->safe_psql('postgres', 'ALTER ROLE bob SUPERUSER');
	my $s = open_psql($local, user => 'bob');
	talk($s, q{SELECT pool_config.acquire('open')});
	is(talk($s, q{SELECT pool_config.exec('open', 'select 1')}), 'SELECT 1', 'a superuser needs no password');
	$local->safe_psql('postgres', 'ALTER ROLE bob NOSUPERUSER; GRANT USAGE ON FOREIGN SERVER open TO bob');
	like(talk($s, q{SELECT pool_config.exec('open', 'select 1')}), qr/2F003/, '... who is none any more does');
	close_psql($s);
}

# --- a session that would wait for itself
{
	my $s = open_psql($local);
	talk($s, q{SELECT pool_config.acquire('one')});
	is(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), 'SELECT 1', 'calls go to the only connection');
	talk($s, 'SET ROLE alice');
	my $started = time;
	like(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), qr/53300.*holds all connections/s, '... others wait for nothing');
	cmp_ok(time - $started, '<', 10, '... and are told at once');
	talk($s, 'RESET ROLE');
	talk($s, q{CREATE DOMAIN checked AS int CHECK (pool_config.exec('one', 'select 1') IS NOT NULL)});
	like(talk($s, q{SELECT * FROM pool_config.query('one', 'select 1') AS t(a checked)}), qr/55006.*is in use/s, 'a call inside one on the same connection');
	like(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), qr/08006.*unknown state.*acquire\(\)/s, '... which is lost with it');
	talk($s, q{DROP DOMAIN checked});
	close_psql($s);
	at_rest('one', 'waiting for oneself');
}

# --- values are read, or refused, but never misread
{
	my $s = open_psql($local);
	my $when = q{SELECT d FROM pool_config.query('one', $$select date '2024-02-01', 'x'::text$$) AS t(d date, x text)};
	my $here = q{SELECT pool_config.exec('one', $$%s$$)};

	talk($s, q{SELECT pool_config.acquire('one')});
	for my $other ([ 'DateStyle', q{set datestyle = 'SQL, DMY'} ], [ 'IntervalStyle', q{set intervalstyle = 'sql_standard'} ])
	{
		my ($name, $set) = @$other;

		is(talk($s, sprintf $here, $set), 'SET', "$name of an acquired connection");
		like(talk($s, $when), qr/55000.*$name was changed.*target "one".*was not run.*RESET $name/s, '... keeps its rows from being read');
		like(talk($s, q{SELECT pool_config.query_json('one', 'select now()')}), qr/55000.*$name/s, '... as JSON, too');
		is(talk($s, sprintf $here, "reset $name"), 'RESET', '... until it is reset');
		is(talk($s, $when), '2024-02-01', '... then they are read');
	}

	# ... by the end of a transaction, too
	talk($s, 'BEGIN');
	talk($s, q{SELECT pool_config.join_transaction('one')});
	talk($s, sprintf $here, q{set local datestyle = 'German'});
	like(talk($s, $when), qr/55000.*DateStyle/s, 'a style for one transaction');
	talk($s, 'ROLLBACK');
	is(talk($s, $when), '2024-02-01', '... ends with it');
	talk($s, 'BEGIN');
	talk($s, q{SELECT pool_config.join_transaction('one')});
	talk($s, sprintf $here, q{set local datestyle = 'German'});
	talk($s, 'COMMIT');
	is(talk($s, $when), '2024-02-01', '... or with its commit');

	talk($s, q{SELECT pool_config.release('one')});

	# a session that comes next: the remote does not tell it once more
	for my $reset ('auto', 'none')
	{
		my $changes = q{SELECT d FROM pool_config.query('one', $$select date '2024-02-01', set_config('datestyle', 'SQL, DMY', false)$$) AS t(d date, x text)};

		$local->safe_psql('postgres', qq{SELECT pool_config.alter_target('one', settings => '{"pool_reset": "$reset"}')});
		talk($s, q{SELECT pool_config.acquire('one')});
		talk($s, sprintf $here, q{set datestyle = 'SQL, DMY'});
		talk($s, q{SELECT pool_config.release('one')});
		is(talk($s, $when), '2024-02-01', "what is released has no style (pool_reset $reset)");
		for my $call (sprintf($here, q{set datestyle = 'SQL, DMY'}), $changes)
		{
			talk($s, $call);
			is(talk($s, $when), '2024-02-01', '... nor what a call has left');
			talk($s, $call);
			like(talk($s, $changes), qr/55000.*DateStyle was changed.*was run, and its result thrown away/s, '... nor is a call believed that changes it itself');
		}
	}
	close_psql($s);
	at_rest('one', 'styles');
	$local->safe_psql('postgres', q{SELECT pool_config.reset_target('one', 'pool_reset')});
}

# --- losses
{
	my $s = open_psql($local);
	talk($s, q{SELECT pool_config.acquire('crm')});
	talk($s, q{SET statement_timeout = '300ms'});
	like(talk($s, q{SELECT pool_config.exec('crm', 'select pg_sleep(60)')}), qr/57014/, 'a cancelled statement');
	talk($s, q{RESET statement_timeout});
	like(talk($s, q{SELECT pool_config.acquire('crm')}), qr/08006.*unknown state/s, '... loses the connection, which is told');
	is(talk($s, q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', '... once');
	is(talk($s, q{SELECT pool_config.release('crm')}), 'f', '... and there is nothing to release');
	poll_until('... nothing runs any more', sub { remote_sessions($remote, "state = 'active'") == 0 });

	# within a local transaction it is told each time
	talk($s, q{SELECT pool_config.acquire('crm'); SELECT pool_config.exec('crm', 'begin')});
	my $end = q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'};
	$remote->safe_psql('postgres', $end);
	my $told = talk($s, q{DO $$
		DECLARE i int;
		BEGIN
			FOR i IN 1 .. 2 LOOP
				BEGIN
					PERFORM pool_config.exec('crm', 'insert into t values (3)');
					RAISE NOTICE 'it ran';
				EXCEPTION WHEN connection_failure THEN
					RAISE NOTICE '% lost', i;
				END;
			END LOOP;
		END $$});
	like($told, qr/1 lost.*2 lost/s, 'a loss is told to all calls of a local transaction');
	unlike($told, qr/it ran/, '... none runs outside of the remote one');
	is(talk($s, q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', '... then it is over');

	# the remote ends it in the midst of a call
	talk($s, q{SELECT pool_config.acquire('crm')});
	say_to($s, q{SELECT pool_config.exec('crm', 'select pg_sleep(60)');});
	poll_until('a call runs', sub { remote_sessions($remote, "state = 'active'") == 1 });
	$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()});
	like(talk($s, ''), qr/08006.*What was set, prepared or begun there is gone/s, 'the remote ends it under a call');
	is(talk($s, q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', '... told by that');
	talk($s, q{SELECT pool_config.release('crm')});

	# without a word
	talk($s, q{SELECT pool_config.acquire('frail'); SELECT pool_config.exec('frail', 'select 1')});
	$proxy->tell('cut', 'rst');
	poll_until('its end is noticed', sub { pool('frail') =~ / 0$/ });
	like(talk($s, q{SELECT pool_config.exec('frail', 'insert into t values (9)')}), qr/08006.*closed while it was not in use.*was not run/s, 'a reset at rest');
	is(talk($s, q{SELECT pool_config.exec('frail', 'select 1')}), 'SELECT 1', '... told once');

	# the place of a dead one is free at once
	talk($s, q{SELECT pool_config.acquire('one'); SELECT pool_config.exec('one', 'begin')});
	$remote->safe_psql('postgres', $end);
	poll_until('who ends at rest is nobody\'s', sub { pool('one') =~ / 0$/ });
	is($local->safe_psql('postgres', q{SET pool_config.pool_timeout = 5; SELECT pool_config.exec('one', 'select 1')}), 'SELECT 1', '... and others have its place');
	like(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), qr/08006.*closed while/s, '... its holder is told');
	is(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), 'SELECT 1', '... once');

	# ... though recycle() had left it to its holder
	my $of_holder = q{SELECT count(*) FROM pool_config.connections WHERE target = 'one' AND leased_by IS NOT NULL};
	for my $end (sub { $remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pool_config'}) },
				 sub { kill 'TERM', $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers') })
	{
		talk($s, q{SELECT pool_config.acquire('one'); SELECT pool_config.exec('one', 'select 1')});
		$local->safe_psql('postgres', q{SELECT pool_config.recycle('one')});
		is($local->safe_psql('postgres', $of_holder), '1', 'recycle() leaves it to its holder');
		$end->();
		poll_until('... until it ends', sub { $local->safe_psql('postgres', $of_holder) eq '0' }, 30);
		talk($s, q{SELECT pool_config.release('one')});
	}
	close_psql($s);
}

# --- idle_lease_timeout
{
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('one', settings => '{"idle_lease_timeout": "1s"}')});
	my $s = open_psql($local);
	talk($s, q{SELECT pool_config.acquire('one'); SELECT pool_config.exec('one', 'begin'); SELECT pool_config.exec('one', 'select pg_sleep(2)')});
	is(talk($s, q{SELECT pool_config.exec('one', 'commit')}), 'COMMIT', 'one that is used is not taken back');
	my $started = time;
	is($local->safe_psql('postgres', q{SELECT pool_config.exec('one', 'select 1')}), 'SELECT 1', 'one that is not used is, for who waits');
	cmp_ok(time - $started, '<', 10, '... soon');
	is($local->safe_psql('postgres', q{SELECT close_reasons->'unused' FROM pool_config.stats WHERE target = 'one'}), '1', '... which is counted');
	like(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), qr/08006.*idle_lease_timeout \(1s\).*not run/s, '... its holder is told');
	is(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), 'SELECT 1', '... once');
	talk($s, q{SELECT pool_config.acquire('one')});
	poll_until('taken back', sub { pool('one') =~ / 0$/ });
	is(talk($s, q{SELECT pool_config.release('one')}), 'f', 'a release says so, and is no error');
	is(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), 'SELECT 1', '... and nothing else is');
	close_psql($s);
}

# --- steering
{
	my $s = open_psql($local);
	talk($s, q{SELECT pool_config.acquire('crm'); SELECT pool_config.exec('crm', 'set my.own = 5')});
	$local->safe_psql('postgres', q{SELECT pool_config.recycle('crm'); SELECT pool_config.alter_target('crm', pool_timeout => 7)});
	is(talk($s, qq{$one('crm', 'show my.own') AS t(x text)}), '5', 'recycle and ALTER leave it to its holder');
	is($local->safe_psql('postgres', q{SELECT pool_config.pause('crm', 0.1)}), 'f', 'pause waits for it');
	is(talk($s, qq{$one('crm', 'show my.own') AS t(x text)}), '5', '... which goes on');
	is(talk($s, q{SELECT pool_config.release('crm')}), 't', '... until it comes back');
	is($local->safe_psql('postgres', q{SELECT pool_config.pause('crm')}), 't', '... then the pause is complete');
	$local->safe_psql('postgres', q{SELECT pool_config.resume('crm')});
	talk($s, q{SELECT pool_config.acquire('crm'); SELECT pool_config.exec('crm', 'select 1')});
	is($local->safe_psql('postgres', q{SELECT pool_config.disconnect('crm')}), '1', 'disconnect');
	poll_until('... frees its place', sub { pool('crm') =~ / 0$/ });
	like(talk($s, q{SELECT pool_config.exec('crm', 'select 1')}), qr/08006/, '... and is told');
	talk($s, q{SELECT pool_config.acquire('crm'); SELECT pool_config.exec('crm', 'set my.own = 6')});
	my $worker = $local->safe_psql('postgres', q{SELECT pid FROM pool_config.workers});
	kill 'TERM', $worker;
	poll_until('the worker ends', sub { !kill 0, $worker });
	like(talk($s, q{SELECT pool_config.exec('crm', 'select 1')}), qr/08006/, 'it ends with the worker');
	is(talk($s, q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', '... and there is a next one');
	talk($s, q{SELECT pool_config.acquire('crm')});
	$local->safe_psql('postgres', q{SELECT pg_terminate_backend(leased_by) FROM pool_config.connections WHERE held_by = 'acquire'});
	at_rest('crm', 'the session was terminated');
	close_psql($s);

	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', settings => '{"pooler": "transaction"}')});
	fails_with($local, q{SELECT pool_config.acquire('crm');}, '0A000', 'no sessions.*direct address', 'nothing to acquire behind a pooler between transactions');
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', settings => '{"pooler": "none"}')});
}

# --- notifications
{
	my $s = open_psql($local);
	my $fetch = q{SELECT notify_name, be_pid > 0, extra FROM pool_config.notifications};

	like(talk($s, "$fetch('crm')"), qr/55000.*not acquired/s, 'notifications need a connection that is kept');
	talk($s, q{SELECT pool_config.acquire('crm')});
	is(talk($s, q{SELECT pool_config.exec('crm', 'listen news')}), 'LISTEN', 'listen');
	is(talk($s, "$fetch('crm')"), '', 'none so far');
	$remote->safe_psql('postgres', q{NOTIFY news, 'one'; NOTIFY news, 'two'});
	my $came = '';
	poll_until('both came', sub {
		my $more = talk($s, "$fetch('crm', 10)");
		$came .= "$more\n" if $more ne '';
		$came =~ /two/;
	});
	is($came, "news|t|one\nnews|t|two\n", 'they are there');
	is(talk($s, "$fetch('crm')"), '', '... once');
	say_to($s, "$fetch('crm', 60);");
	sleep 0.3;
	$remote->safe_psql('postgres', q{NOTIFY news, 'late'});
	is(talk($s, ''), 'news|t|late', 'they are waited for');
	$remote->safe_psql('postgres', q{SELECT pg_notify('news', i || repeat('x', 7000)) FROM generate_series(1, 300) AS i});
	is(talk($s, qq{$one('crm', 'select 7') AS t(x int)}), '7', 'two megabytes of them disturb no call');
	my $length = 0;
	poll_until('... and are all there', sub { $length += talk($s, q{SELECT coalesce(sum(length(extra)), 0) FROM pool_config.notifications('crm', 1)}); $length == 2100792 });
	# one's own come before the answer
	is(talk($s, q{SELECT pool_config.exec('crm', $$select pg_notify('news', i::text) FROM generate_series(1, 12000) AS i$$)}), 'SELECT 12000', 'twelve thousand');
	like(talk($s, q{SELECT count(*), max(extra::int) FROM pool_config.notifications('crm', 5)}), qr/^10000\|10000\nWARNING.*2000 notifications.*dropped/s, 'what is kept is bounded');
	talk($s, q{SET statement_timeout = '200ms'});
	like(talk($s, "$fetch('crm', 60)"), qr/57014/, 'a wait can be cancelled');
	talk($s, q{RESET statement_timeout});
	$remote->safe_psql('postgres', q{NOTIFY news, 'still'});
	is(talk($s, "$fetch('crm', 10)"), 'news|t|still', '... and loses nothing');

	# they come at any moment, between the bytes of an answer as well
	my $notifier = start_psql($remote, join '', map { "NOTIFY news, '$_';\n" } 1 .. 3000);
	my $got = 0;
	my $calls = 0;
	while ($got < 3000 && $calls++ < 20000)
	{
		my $told = talk($s, qq{$one('crm', 'select 7 from generate_series(1, 20)') AS t(x int) LIMIT 1; SELECT count(*) FROM pool_config.notifications('crm')});
		last if $told !~ /^7\n(\d+)$/;
		$got += $1;
	}
	is($got, 3000, 'three thousand of them between calls');
	finish_psql($notifier);
	talk($s, q{SELECT pool_config.release('crm')});

	# what a predecessor listened to
	talk($s, q{SELECT pool_config.exec('one', 'listen news')});
	talk($s, q{SET ROLE alice; SELECT pool_config.acquire('one')});
	$remote->safe_psql('postgres', q{NOTIFY news, 'for somebody else'});
	is(talk($s, "$fetch('one', 0.5)"), '', 'nobody gets what another role listened to');
	is(talk($s, q{SELECT pool_config.exec('one', 'select 1')}), 'SELECT 1', '... nor with the first call');
	is(talk($s, "$fetch('one', 0.1)"), '', '... nor behind it');
	close_psql($s);
}

# --- many sessions
{
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', pool_size => 3)});
	my @runs = run_together($local, map { my $i = $_; join "\n", map { qq{
		SELECT pool_config.acquire('crm');
		SELECT pool_config.exec('crm', 'create temp table mine as select $i as i');
		SELECT pool_config.exec('crm', 'set my.own = $i');
		SELECT i || ' ' || j FROM pool_config.query('crm', 'select i, current_setting(\$\$my.own\$\$) from mine') AS t(i int, j text);
		SELECT pool_config.release('crm');} } 1 .. 10 } 1 .. 12);
	is(scalar(grep { $_->{err} eq '' } @runs), 12, 'many sessions acquire');
	for my $i (1 .. 12)
	{
		is(scalar(() = $runs[$i - 1]{out} =~ /^$i $i$/mg), 10, "session $i finds its own");
	}
	at_rest('crm', 'many sessions');
}

is($local->safe_psql('postgres', 'SELECT rescued FROM pool_config.workers'), '0', 'no wake-up was lost');
unlike(slurp_file($local->logfile), qr/PANIC|TRAP|signal (6|11)/, 'nothing crashed');
done_testing();
