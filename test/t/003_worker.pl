# The background worker: restart, shutdown, standby, recycling, a remote that
# goes and comes.
# Both transports.
use strict;
use warnings;
use HostileServer;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use IO::Socket::INET;
use Time::HiRes qw(time);

my $remote = start_remote('remote');
my $local  = start_local('local');
my $call   = q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(pid int)};

make_target($local, $remote, 'crm');

# --- the worker is replaced
my $first = $local->safe_psql('postgres', $call);
my $pid   = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
kill 'TERM', $pid;
poll_until('a new worker starts', sub {
	$local->safe_psql('postgres', "SELECT count(*) FROM pool_config.workers WHERE pid <> $pid") == 1;
});
my $second = $local->safe_psql('postgres', $call);
isnt($second, $first, 'the next call works, over a new connection');
poll_until('the old one is gone', sub {
	$remote->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $first") == 0;
});

# --- a session that has a connection cached meets a new worker
my ($rc, $out, $err) = $local->psql('postgres', qq{
	$call;
	SELECT pg_sleep(0) FROM (SELECT pid FROM pool_config.workers) w;
	COPY (SELECT pid FROM pool_config.workers) TO PROGRAM 'read pid; kill -TERM \$pid; while kill -0 \$pid 2>/dev/null; do sleep 0.02; done';
	$call;
}, on_error_stop => 0);
is($err, '', 'and so does a session that used the old one');

# --- idle connections that the remote ended are replaced without a word
for my $how ('pg_terminate_backend', 'restart')
{
	my $before = $local->safe_psql('postgres', $call);
	if ($how eq 'restart') { $remote->restart; }
	else                   { $remote->safe_psql('postgres', "SELECT pg_terminate_backend($before, 10000)"); }
	my $after = $local->safe_psql('postgres', $call);
	isnt($after, $before, "after $how of the remote the next call simply works");
}

# --- a remote that is away
$remote->stop('fast');
my $start = time;
fails_with($local, "$call;", '08001', 'could not connect to target "crm"', 'a remote that is away');
cmp_ok(time - $start, '<', 5, 'is told quickly');
$remote->start;
poll_until('and works again when it is back', sub {
	my ($rc, $out) = $local->psql('postgres', $call);
	$rc == 0;
});

# --- who is starting up is asked again in 50 ms, then 100, and so on
{
	my $log = PostgreSQL::Test::Utils::tempdir() . '/attempts';
	my $starting = HostileServer->new(starting => sub {
		my ($c) = @_;
		open my $to, '>>', $log;
		syswrite $to, time . "\n";
		$c->say('E', "SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0");
	});
	$local->safe_psql('postgres', sprintf(q{SELECT pool_config.create_target('starting', 'postgresql://u:p@127.0.0.1:%d/starting?sslmode=disable', pool_timeout => 1)}, $starting->port));
	my @pauses;
	for (1 .. 5)
	{
		append_to_file($log, '');
		unlink $log;
		$local->psql('postgres', q{SELECT pool_config.exec('starting', 'select 1')});
		$local->safe_psql('postgres', q{SELECT pool_config.recycle('starting')});
		my @times = split /\n/, slurp_file($log);
		push @pauses, @times > 2 ? $times[2] - $times[1] : 9;
	}
	my $median = (sort { $a <=> $b } @pauses)[2];
	cmp_ok($median, '<', 0.3, "a remote that starts up is asked again soon ($median s)");
}

# --- lost in the middle: the outcome is unknown, and the next call works
my $run = start_psql($local, "\\set VERBOSITY verbose\nSELECT pool_config.exec('crm', 'select pg_sleep(60)');\nSELECT pool_config.exec('crm', 'select 1');");
poll_until('a statement runs', sub { remote_sessions($remote, "query LIKE '%pg_sleep(60)%' AND state = 'active'") == 1 });
$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pool_config' AND state = 'active'});
finish_psql($run);
like($run->{err}, qr/ERROR:  08006/, 'a connection lost in the middle is 08006');
is($run->{out}, "SELECT 1\n", 'and the call after it works');

# --- cancel stops the remote statement, and hits nobody else
$run = start_psql($local, "SET statement_timeout = '300ms';\n\\set VERBOSITY verbose\nSELECT pool_config.exec('crm', 'select pg_sleep(60)');\nRESET statement_timeout;\n"
	  . "SELECT pool_config.exec('crm', 'select 1');\n" x 20);
finish_psql($run);
like($run->{err}, qr/ERROR:  57014/, 'statement_timeout ends a remote call');
is($run->{out}, "SELECT 1\n" x 20, 'and the calls after it work');
poll_until('the remote statement is stopped', sub { remote_sessions($remote, "state = 'active'") == 0 });

# --- age
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', pool_recycle => 1)});
my $old = $local->safe_psql('postgres', $call);
poll_until('a connection is recycled by age', sub {
	$remote->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $old") == 0;
});
isnt($local->safe_psql('postgres', $call), $old, 'and replaced');
$local->safe_psql('postgres', q{SELECT pool_config.reset_target('crm', 'pool_recycle')});

# --- limits of time
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', settings => '{"command_timeout": 0.3}')});
$err = fails_with($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(60)');}, '57014', 'command_timeout',
	'command_timeout says whose limit it is');
$local->safe_psql('postgres', q{SELECT pool_config.reset_target('crm')});

my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp');
$local->safe_psql('postgres', sprintf(
		q{SELECT pool_config.create_target('silent', 'postgresql://u:p@127.0.0.1:%d/db?sslmode=disable', connect_timeout => 1)},
		$silent->sockport));
$start = time;
my $stuck = start_psql($local, "\\set VERBOSITY verbose\nSELECT pool_config.exec('silent', 'select 1');");
is($local->safe_psql('postgres', q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1',
	'a remote that does not answer holds up nobody else');
finish_psql($stuck);
like($stuck->{err}, qr/08001.*connect_timeout/s, 'connect_timeout covers the login');
cmp_ok(time - $start, '<', 10, 'and is kept');

fails_with($local, q{SELECT pool_config.create_target('noname', 'postgresql://u:p@no-such-host.invalid/db?sslmode=disable', connect_timeout => 2);
	SELECT pool_config.exec('noname', 'select 1');}, '08001', 'no-such-host.invalid', 'a name that is not found');
$local->safe_psql('postgres', sprintf(
		q{SELECT pool_config.create_target('byname', 'postgresql://app:app-secret@localhost:%d/postgres?sslmode=%s')}, $remote->port, $sslmode));
sql_ok($local, q{SELECT pool_config.exec('byname', 'select 1')}, 'SELECT 1', 'a name that is found');
fails_with($local, sprintf(q{SELECT pool_config.create_target('wrong', 'postgresql://app:wrong@127.0.0.1:%d/postgres?sslmode=%s');
	SELECT pool_config.exec('wrong', 'select 1');}, $remote->port, $sslmode), '08001', 'password authentication failed', 'a wrong password');

# --- nothing from the environment of the server
{
	local $ENV{PGPASSWORD} = 'app-secret';
	local $ENV{PGUSER}     = 'app';
	local $ENV{PGOPTIONS}  = '-c work_mem=77MB';
	$local->restart;
}
$local->safe_psql('postgres', sprintf(q{
	CREATE SERVER bare FOREIGN DATA WRAPPER pool_config OPTIONS (host '127.0.0.1', port '%d', dbname 'postgres', sslmode '%s');
	CREATE USER MAPPING FOR PUBLIC SERVER bare OPTIONS (user 'app')}, $remote->port, $sslmode));
fails_with($local, q{SELECT pool_config.exec('bare', 'select 1');}, '08001', 'no password supplied',
	'PGPASSWORD of the server is not used');
sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'show work_mem') AS t(w text)}, '4MB', 'nor PGOPTIONS');

# --- a standby
$local->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($local, 'base', has_streaming => 1);
$standby->start;
$local->wait_for_catchup($standby);
sql_ok($standby, q{SELECT pool_config.exec('crm', 'select 1')}, 'SELECT 1', 'a standby calls, too');

# --- shutdown, with a call under way
for my $mode ('fast', 'immediate')
{
	my $node = $mode eq 'fast' ? $standby : $local;

	# the other node's idle ones would stay
	$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'pool_config'});
	my $hung = start_psql($node, "SELECT pool_config.exec('crm', 'select pg_sleep(60)');");
	poll_until("a call hangs before $mode shutdown", sub {
		remote_sessions($remote, "state = 'active' AND query LIKE '%pg_sleep%'") >= 1;
	});
	my $worker = $node->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	$start = time;
	$node->stop($mode);
	cmp_ok(time - $start, '<', 5, "$mode shutdown is not held up");
	ok(!kill(0, $worker), 'and takes the worker along');
	finish_psql($hung);
	poll_until('the remote sessions end', sub { remote_sessions($remote, "state <> 'active'") == 0 });
	$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'pool_config'});
}

done_testing();
