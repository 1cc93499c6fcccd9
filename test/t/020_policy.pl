# The settings of a pool, each in effect, and live.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $remote = start_remote('remote');
my $local  = start_local('local');

sub call
{
	my ($target, $sql, %options) = @_;
	return $local->safe_psql($options{database} // 'postgres',
		($options{before} // '') . "SELECT * FROM pool_config.query('$target', '$sql') AS t(a text)");
}

sub pid_of { return call($_[0], 'select pg_backend_pid()'); }

# Numbers of the pool: open, idle.
sub pool
{
	my ($target, $what) = @_;
	return $local->safe_psql('postgres',
		"SELECT coalesce(sum($what), 0) FROM pool_config.pools WHERE target = '$target' AND state <> 'retired'");
}

sub pool_is
{
	my ($target, $what, $expected, $name) = @_;
	poll_until($name, sub { pool($target, $what) == $expected }, 15)
	  or diag($local->safe_psql('postgres', 'SELECT * FROM pool_config.connections'));
}

sub pool_has
{
	my ($target, $what, $least, $name) = @_;
	poll_until($name, sub { pool($target, $what) >= $least }, 15)
	  or diag($local->safe_psql('postgres', 'SELECT * FROM pool_config.connections'));
}

# Every idle connection of a target has been so for that many seconds.
sub idle_since
{
	my ($target, $seconds) = @_;

	poll_until("$target has been idle for $seconds s", sub {
		$local->safe_psql('postgres', qq{SELECT coalesce(bool_and(idle_for >= interval '$seconds s'), false) FROM pool_config.connections WHERE target = '$target' AND state = 'idle'}) eq 't';
	});
}

sub configure
{
	$local->append_conf('postgresql.conf', join("\n", @_));
	$local->reload;
}

# --- min_idle, from first use on
make_target($local, $remote, 'warm', settings => q{'{"min_idle": 3}'});
is(pool('warm', 'open'), 0, 'nothing is opened before the first call');
call('warm', 'select 1');
pool_has('warm', 'idle', 3, 'min_idle holds from the first call on');
$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(min(pid)) FROM pg_stat_activity WHERE application_name = 'pool_config'});
pool_has('warm', 'idle', 3, 'and holds when one breaks');
my $busy = start_psql($local, q{SELECT pool_config.exec('warm', 'select pg_sleep(2)')});
pool_has('warm', 'idle', 3, 'while one is in use, too');
finish_psql($busy);
kill 'TERM', $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
poll_until('a new worker', sub { $local->safe_psql('postgres', 'SELECT life FROM pool_config.workers') eq '2' });
is(pool('warm', 'open'), 0, 'a new worker knows no password');
call('warm', 'select 1');
pool_has('warm', 'idle', 3, 'and holds min_idle from the next call on');

# --- a reload takes effect without a call; an option of the target stays
make_target($local, $remote, 'live');
call('live', 'select 1');
configure('pool_config.min_idle = 4');
pool_has('live', 'idle', 4, 'a changed default takes effect on a live pool without a call');
cmp_ok(pool('warm', 'open'), '<=', 4, 'but not where the target says otherwise');
my @sleepers = map { start_psql($local, q{SELECT pool_config.exec('live', 'select pg_sleep(3)')}) } 1 .. 3;
pool_is('live', 'in_use', 3, 'three in use');
configure('pool_config.min_idle = 0', 'pool_config.pool_size = 1', 'pool_config.max_overflow = 0');
pool_is('live', 'idle', 0, 'a lowered limit closes idle ones at once');
is(pool('live', 'open'), 3, 'and leaves those in use alone');
finish_psql($_) for @sleepers;
pool_is('live', 'open', 1, 'which are closed when they come back');
configure('pool_config.pool_size = 5', 'pool_config.max_overflow = 10');

# --- idle_timeout
configure('pool_config.idle_timeout = 1');
pool_is('live', 'open', 0, 'idle_timeout closes idle connections');
is(pool('warm', 'idle'), 3, 'but not below min_idle');
configure('pool_config.idle_timeout = 0');
$local->safe_psql('postgres', q{SELECT pool_config.drop_target('warm')});

# --- pool_recycle, on a live pool
my $old = pid_of('live');
configure('pool_config.pool_recycle = 1');
poll_until('a lowered pool_recycle closes what is older', sub {
	$remote->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $old") == 0;
});
configure('pool_config.pool_recycle = 300');

# --- in rotation
make_target($local, $remote, 'turn', settings => q{'{"min_idle": 3, "pool_size": 3, "pool_use_lifo": false}'});
call('turn', 'select 1');
pool_is('turn', 'idle', 3, 'three connections');
my @turns = map { pid_of('turn') } 1 .. 6;
is(scalar(keys %{ { map { $_ => 1 } @turns[ 0 .. 2 ] } }), 3, 'pool_use_lifo off: one after the other');
is("@turns[0 .. 2]", "@turns[3 .. 5]", 'in the same order again');
poll_until('what idles is reset', sub { remote_sessions($remote, sprintf q{query = 'DISCARD ALL' AND pid IN (%s)}, join ',', @turns[ 0 .. 2 ]) == 3 });
is(join(' ', map { pid_of('turn') } 1 .. 3), "@turns[0 .. 2]", 'also after the worker has reset them');
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('turn', settings => '{"pool_use_lifo": true}')});
call('turn', 'select 1');
pool_is('turn', 'idle', 3, 'three connections');
is(pid_of('turn'), pid_of('turn'), 'pool_use_lifo on: the hottest');
$local->safe_psql('postgres', q{SELECT pool_config.drop_target('turn')});

# --- a target's limit over mappings and databases
$remote->safe_psql('postgres', q{CREATE ROLE other LOGIN PASSWORD 'other-secret'});
$local->safe_psql('postgres', 'CREATE ROLE bob LOGIN; CREATE DATABASE second');
make_target($local, $remote, 'few', settings => q{'{"target_limit": 2, "min_idle": 2}'});
$local->safe_psql('postgres', q{
	GRANT USAGE ON FOREIGN SERVER few TO bob;
	CREATE USER MAPPING FOR bob SERVER few OPTIONS (user 'other', password 'other-secret')});
call('few', 'select 1');
pool_is('few', 'idle', 2, 'one mapping has all that target_limit allows');
my $start = time;
is(call('few', 'select current_user', before => 'SET ROLE bob; '), 'other', 'another mapping gets one of them');
cmp_ok(time - $start, '<', 3, 'at once');
is(pool('few', 'open + connecting'), 2, 'and there are no more than target_limit');
$local->safe_psql('second', 'CREATE EXTENSION pool_config');
$local->safe_psql('second', sprintf(q{SELECT pool_config.create_target('few',
	'postgresql://app:app-secret@127.0.0.1:%d/postgres?sslmode=disable', settings => '{"target_limit": 2}')}, $remote->port));
is(call('few', 'select 1', database => 'second'), '1', 'another database gets one of them');
cmp_ok($remote->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool_config'
	AND backend_start > now() - interval '5s'}), '<=', 3, 'and the limit holds over databases');

# --- who waits for a place is served when one comes back; nothing turns in circles
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('few', settings => '{"min_idle": 0}')});
my @holders = map { start_psql($local, q{SELECT pool_config.exec('few', 'select pg_sleep(3)')}) } 1 .. 2;
pool_is('few', 'in_use', 2, 'all of them in use');
my $waiter = start_psql($local, q{SET ROLE bob; SELECT pool_config.exec('few', 'select 1')});
poll_until('another mapping waits', sub { pool('few', 'waiting') == 1 });
my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
my $ticks  = sub { my @f = split / /, slurp_file("/proc/$worker/stat"); $f[13] + $f[14] };
my $before = $ticks->();
sleep 1;
cmp_ok($ticks->() - $before, '<', 20, 'the worker sleeps while a pool starves');
$start = time;
finish_psql($waiter);
is($waiter->{out}, "SELECT 1\n", 'and it gets a place');
finish_psql($_) for @holders;

# --- pings: a remote process that does not answer costs a second at most
make_target($local, $remote, 'ping', settings => q{'{"min_idle": 3}'});
call('ping', 'select 1');
pool_has('ping', 'idle', 3, 'three connections');
idle_since('ping', 0.6);
my @stopped = split /\n/, $local->safe_psql('postgres', q{SELECT remote_pid FROM pool_config.connections WHERE target = 'ping' AND state = 'idle'});
kill 'STOP', @stopped;
$start = time;
like(pid_of('ping'), qr/^\d+$/, 'with all of them stopped a call works');
cmp_ok(time - $start, '<', 4, 'and does not take long');
poll_until('none of them stays', sub {
	$local->safe_psql('postgres', sprintf(q{SELECT count(*) FROM pool_config.connections WHERE state <> 'closing' AND remote_pid IN (%s)}, join ',', @stopped)) == 0;
});
kill 'CONT', @stopped;

$local->safe_psql('postgres', q{SELECT pool_config.alter_target('ping', settings => '{"pre_ping_after": "1h", "min_idle": 0, "command_timeout": "2s"}')});
my $pid = pid_of('ping');
idle_since('ping', 0.6);
kill 'STOP', $pid;
fails_with($local, q{SELECT pool_config.exec('ping', 'select 1');}, '57014', 'command_timeout', 'without a ping the caller finds out himself');
kill 'CONT', $pid;

# --- a break puts the others under suspicion: they are asked, and those that live stay
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('ping', settings => '{"min_idle": 3, "pre_ping_after": "1h"}')});
call('ping', 'select 1');
pool_has('ping', 'idle', 3, 'three connections');
my @all = split /\n/, $local->safe_psql('postgres', q{SELECT remote_pid FROM pool_config.connections WHERE target = 'ping' AND state = 'idle' ORDER BY 1});
kill 'STOP', $all[1];
$remote->safe_psql('postgres', "SELECT pg_terminate_backend($all[0])");
poll_until('the one that does not answer is closed, too', sub {
	$local->safe_psql('postgres', "SELECT count(*) FROM pool_config.connections WHERE remote_pid = $all[1]") == 0;
}, 10);
kill 'CONT', $all[1];
is($local->safe_psql('postgres', "SELECT count(*) FROM pool_config.connections WHERE remote_pid = $all[2]"), '1', 'the one that lives stays');

# --- what of a session's state the next one finds
$remote->safe_psql('postgres', 'CREATE TABLE kept (a text); ALTER TABLE kept OWNER TO app');
my $look = q{select coalesce(current_setting(''my.mark'', true), '''') || (select count(*) from pg_cursors where name = ''c'')};
for my $case ([ auto => '0', '10' ], [ always => '0', '0' ], [ rollback => '10', '10' ], [ none => '10', '10' ])
{
	my ($mode, $other_session, $same_session) = @$case;
	make_target($local, $remote, "reset_$mode", max_overflow => 0, pool_size => 1, settings => qq{'{"pool_reset": "$mode"}'});
	my $set = qq{SELECT pool_config.exec('reset_$mode', 'select set_config(''my.mark'', ''1'', false)');};
	$local->safe_psql('postgres', $set);
	is(call("reset_$mode", $look), $other_session, "pool_reset $mode, another session");
	my $got = $local->safe_psql('postgres', "$set SELECT * FROM pool_config.query('reset_$mode', '$look') AS t(a text)");
	is((split /\n/, $got)[1], $same_session, "pool_reset $mode, the same session");
	$local->safe_psql('postgres', qq{SET client_min_messages = error; SELECT pool_config.exec('reset_$mode', 'declare c cursor with hold for select 1')});
	like(call("reset_$mode", $look), qr/0$/, "pool_reset $mode: no cursor survives a session");
	sql_ok($local, "SELECT pool_config.exec('reset_$mode', 'vacuum kept')", 'VACUUM', "pool_reset $mode: what comes first leaves no transaction open");
	$local->safe_psql('postgres', "SELECT pool_config.exec('reset_$mode', 'insert into kept values (''$mode'')')");
	is($remote->safe_psql('postgres', "SELECT count(*) FROM kept WHERE a = '$mode'"), 1, '... and what comes second is committed');
}
idle_since('reset_none', 1.5);
is(call('reset_none', $look), '10', 'pool_reset none: nor does the worker touch it');
make_target($local, $remote, 'pooled', max_overflow => 0, pool_size => 1, settings => q{'{"pooler": "transaction"}'});
$local->safe_psql('postgres', q{SELECT pool_config.exec('pooled', 'select set_config(''my.mark'', ''1'', false)')});
is(call('pooled', $look), '10', 'pooler transaction: nothing is reset, it is not ours');

is($local->safe_psql('postgres', 'SELECT rescued FROM pool_config.workers'), '0', 'no wake-up was lost');
done_testing();
