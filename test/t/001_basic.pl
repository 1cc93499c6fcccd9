# A first session: create a target, run statements from many sessions over one
# shared set of connections.
# Both transports.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote');
my $local  = start_local('local');

# --- targets and calls
make_target($local, $remote, 'crm');
$remote->safe_psql('postgres', q{
	CREATE TABLE customers (id int PRIMARY KEY, name text, born date);
	INSERT INTO customers VALUES (1, 'Ada', '1815-12-10'), (2, 'Grace', '1906-12-09');
	GRANT ALL ON customers TO app;
});
sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select id, name, born from customers order by id') AS t(id int, name text, born date)},
	"1|Ada|1815-12-10\n2|Grace|1906-12-09", 'query: rows by position');
$local->safe_psql('postgres', 'CREATE TYPE customer AS (born date, id int, name text)');
sql_ok($local, q{SELECT id, name, born FROM pool_config.query_as(NULL::customer, 'crm', 'select * from customers where id = 2')},
	'2|Grace|1906-12-09', 'query_as: rows by name');
sql_ok($local, q{SELECT pool_config.exec('crm', 'update customers set name = upper(name)')},
	'UPDATE 2', 'exec: the command tag');
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select 1/0') AS t(a int);},
	'22012', 'division by zero', 'a remote error arrives with its SQLSTATE');
fails_with($local, q{SELECT pool_config.exec('crm', 'insert into customers values (1)');},
	'23505', 'CONSTRAINT NAME:  customers_pkey', 'and with its fields');
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select 1, 2') AS t(a int);},
	'42804', '2 columns, 1', 'both counts of columns are told');
fails_with($local, q{SELECT * FROM pool_config.query('crn', 'select 1') AS t(a int);},
	'42704', 'Perhaps you meant the target "crm"', 'an unknown target, and the nearest');
fails_with($local, q{SELECT pool_config.query('crm', 'select 1');},
	'0A000', 'AS t\(a int', 'a call outside FROM is told how to call');
fails_with($local, q{SELECT * FROM pool_config.query('select 1', 'crm') AS t(a int);},
	'42704', 'wrong order', 'the wrong order of arguments is told');
my $err = fails_with($local, q{SELECT * FROM pool_config.query('postgresql://u:canary@h/d', 'select 1') AS t(a int);},
	'42704', 'address', 'an address in place of a name');
unlike($err, qr/ERROR[^\n]*canary|DETAIL[^\n]*canary|HINT[^\n]*canary/, 'and it is not repeated');
fails_with($local, q{CREATE FOREIGN TABLE ft (a int) SERVER crm;},
	'0A000', 'foreign tables are not supported', 'foreign tables are refused');
sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select -1::int8, 1.5::float8, true, ''2024-02-29 12:00:00''::timestamp, null::text, ''{1,2}''::int[], 1234.5::numeric, ''\x00ff''::bytea')
	AS t(a int8, b float8, c bool, d timestamp, e text, f int[], g numeric, h bytea)},
	'-1|1.5|t|2024-02-29 12:00:00||{1,2}|1234.5|\x00ff', 'values of many types');
sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select 7::int8, 8::int4, ''2020-01-02''::date') AS t(a int, b text, c timestamp)},
	'7|8|2020-01-02 00:00:00', 'values of other types than declared');

# --- one connection for many sessions
my %pids;
for (1 .. 20)
{
	$pids{ $local->safe_psql('postgres',
			q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(pid int)}) } = 1;
}
is(scalar(keys %pids), 1, '20 sessions in turn use one remote connection');
is(remote_sessions($remote), 1, 'and there is no other');

# --- many at once, bounded
make_target($local, $remote, 'small', pool_size => 3, max_overflow => 2);
$remote->safe_psql('postgres', q{
	CREATE TABLE seen (n int);
	CREATE FUNCTION echo(token text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO seen SELECT count(*) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND application_name = 'pool_config';
		PERFORM pg_sleep(0.01);
		RETURN token;
	END $$;
	GRANT ALL ON seen TO app;
	GRANT pg_read_all_stats TO app;
});
my $calls   = 10;
my @scripts = map {
	my $session = $_;
	join('', map { "SELECT * FROM pool_config.query('small', 'select echo(''s$session-c$_'')') AS t(token text);\n" } 1 .. $calls);
} 1 .. 40;
my @runs  = run_together($local, @scripts);
my $wrong = 0;
for my $i (0 .. $#runs)
{
	my $expected = join('', map { 's' . ($i + 1) . "-c$_\n" } 1 .. $calls);
	if ($runs[$i]->{out} ne $expected)
	{
		$wrong++;
		diag("session $i: $runs[$i]->{err}");
	}
}
is($wrong, 0, '40 sessions at once each get what they asked for');
my $most = $remote->safe_psql('postgres', 'SELECT max(n) FROM seen');
cmp_ok($most, '>=', 5 + 1, 'all of 3 + 2 connections are used (and there is the one of the other target)');
cmp_ok($most, '<=', 5 + 2, 'and no more, but for one that the remote is just ending');
is($remote->safe_psql('postgres', 'SELECT count(*) FROM seen'), 40 * $calls, 'each call ran once');
poll_until('overflow is closed when nobody waits', sub {
	remote_sessions($remote) == 4;
});
sql_ok($local, q{SELECT target, size, overflow, open, idle, in_use, waiting, state FROM pool_config.pools WHERE target = 'small'},
	'small|3|2|3|3|0|0|ok', 'the view pools');
sql_ok($local, qq{SELECT count(*), bool_and(state = 'idle' AND transport = '$transport' AND tls = (transport = 'relay')), sum(uses) > 0 AND sum(bytes_in) > 0 FROM pool_config.connections WHERE target = 'small'},
	'3|t|t', 'the view connections');
sql_ok($local, q{SELECT count(*), bool_and(heartbeat > now() - interval '5 s') FROM pool_config.workers},
	'1|t', 'the view workers');
is($local->safe_psql('postgres', q{SELECT sum(remote_pid) FROM pool_config.connections}),
	$remote->safe_psql('postgres', q{SELECT sum(pid) FROM pg_stat_activity WHERE application_name = 'pool_config'}),
	'the remote knows the same processes');

# --- memory stays bounded
my $rows = 10_000_000;
my $grew = $local->safe_psql('postgres', qq{
	SET work_mem = '4MB';
	SELECT count(*) FROM pool_config.query('crm', 'select 1, ''x''') AS t(a int, b text);
	CREATE TEMP TABLE before AS SELECT sum(total_bytes) AS n FROM pg_backend_memory_contexts;
	SELECT count(*), sum(a) FROM pool_config.query('crm', 'select g, repeat(''x'', 20) from generate_series(1, $rows) g') AS t(a int, b text);
	SELECT (SELECT sum(total_bytes) FROM pg_backend_memory_contexts) - n FROM before;
});
my ($one, $counted, $bytes) = split /\n/, $grew;
is($counted, $rows . '|' . ($rows * ($rows + 1) / 2), "$rows rows arrive");
cmp_ok($bytes, '<', 1_000_000, 'and leave no memory behind');
my $peak = $local->safe_psql('postgres', qq{
	SET work_mem = '4MB';
	SELECT count(*) FROM pool_config.query('crm', 'select 1, ''x''') AS t(a int, b text);
	SELECT count(*) FROM pool_config.query('crm', 'select g, repeat(''x'', 20) from generate_series(1, $rows) g') AS t(a int, b text);
	SELECT regexp_replace(pg_read_file('/proc/self/status'), '.*VmHWM:\\s+(\\d+).*VmPTE.*', '\\1');
});
cmp_ok((split /\n/, $peak)[2], '<', 100_000, 'nor does the process grow (kB at its peak)');

# --- the extension comes and goes
my $dump = $local->backup_dir . '.sql';
$local->command_ok([ 'pg_dump', '-f', $dump, $local->connstr('postgres') ], 'pg_dump');
$local->safe_psql('postgres', 'CREATE DATABASE restored');
$local->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $local->connstr('restored') ], 'restore');
is($local->safe_psql('restored', q{SELECT * FROM pool_config.query('crm', 'select 42') AS t(a int)}),
	'42', 'a restored target works');
$local->safe_psql('postgres', 'DROP EXTENSION pool_config CASCADE');
poll_until('its connections are closed', sub { remote_sessions($remote) <= 1 });
$local->safe_psql('postgres', 'CREATE EXTENSION pool_config');
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select 1') AS t(a int);},
	'42704', 'does not exist', 'the extension can be made anew');

# --- without preload
my $bare = PostgreSQL::Test::Cluster->new('bare');
$bare->init;
$bare->start;
$bare->safe_psql('postgres', 'CREATE EXTENSION pool_config');
make_target($bare, $remote, 'crm');
sql_ok($bare, q{SELECT target, pool_size FROM pool_config.targets}, 'crm|5', 'targets work without preload');
for my $call (q{SELECT * FROM pool_config.query('crm', 'select 1') AS t(a int)},
	q{SELECT pool_config.exec('crm', 'select 1')},
	q{SELECT * FROM pool_config.pools})
{
	fails_with($bare, "$call;", '55000', 'HINT:  Add "pool_config" to shared_preload_libraries',
		"without preload: $call");
}

done_testing();
