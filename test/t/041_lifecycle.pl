# Starts, stops and copies of the local server: with remotes that do not answer,
# under load, with a worker that is stopped or killed again and again; standby
# and promotion, base backup, dump, upgrade, two clusters on one machine.
use strict;
use warnings;
use FaultProxy;
use File::Spec;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $remote = start_remote('remote');
my $proxy  = FaultProxy->new($remote->port);
my $local  = start_local('local', 'wal_level = replica');
my $call   = q{SELECT * FROM pool_config.query('crm', 'select 42') AS t(a int)};

make_target($local, $remote, 'crm', pool_size => 3, max_overflow => 0);
make_target($local, $remote, 'lame', port => $proxy->port, sslmode => 'disable', pool_size => 4, connect_timeout => 60);

sub worker { return $_[0]->safe_psql('postgres', 'SELECT pid FROM pool_config.workers') }

# Of a process: what /proc tells of it.
sub slurp_status
{
	open(my $file, '<', "/proc/$_[0]/status") or return {};
	return { map { /^(\w+):\s*(\S+)/ ? ($1 => $2) : () } <$file> };
}

# Calls that wait for an answer, a connection, a login; the remote says nothing.
sub hang
{
	my ($node) = @_;

	$proxy->clear;
	$node->safe_psql('postgres', q{SELECT pool_config.exec('lame', 'select 1')});
	$proxy->tell('stall', 'both on');
	my @runs = map { start_psql($node, q{SET statement_timeout = '60s'; SELECT pool_config.exec('lame', 'select 1')}) } 1 .. 3;
	poll_until('calls hang', sub {
		$node->safe_psql('postgres', q{SELECT in_use > 0 AND connecting > 0 FROM pool_config.pools WHERE target = 'lame'}) eq 't';
	});
	return @runs;
}

# --- the ends of a server
for my $mode ('smart', 'fast', 'immediate')
{
	my @runs   = hang($local);
	my $worker = worker($local);
	# a smart stop waits for clients, and for nobody else
	if ($mode eq 'smart') { $_->{harness}->kill_kill(grace => 0) for splice @runs; }
	$local->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%lame%' AND pid <> pg_backend_pid()})
	  if $mode eq 'smart';
	my $start = time;
	$local->stop($mode);
	cmp_ok(time - $start, '<', 4, "a $mode stop does not wait for remotes");
	ok(!kill(0, $worker), "and takes the worker along ($mode)");
	finish_psql($_) for @runs;
	$local->start;
	sql_ok($local, $call, '42', "and the server comes back ($mode)");
}

{
	my @runs   = hang($local);
	my $worker = worker($local);
	my @pids   = split /\n/, $local->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%lame%' AND pid <> pg_backend_pid()});
	$local->kill9;
	my $start = time;
	poll_until('after the postmaster was killed, worker and waiting sessions end', sub { !grep { kill 0, $_ } $worker, @pids });
	cmp_ok(time - $start, '<', 3, 'at once');
	finish_psql($_) for @runs;
	$local->start;
	sql_ok($local, $call, '42', 'and a new one starts at once');
}

# --- what runs at a remote ends with the server, and with the worker
for my $end ('a fast stop', 'the end of the worker')
{
	my $run = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(62)')});
	my $sleepers = sub { remote_sessions($remote, q{state = 'active' AND query LIKE '%pg_sleep(62)%'}) };
	poll_until("a remote statement runs before $end", sub { $sleepers->() == 1 });
	if ($end =~ /stop/) { $local->stop('fast') }
	else                { kill 'TERM', worker($local) }
	poll_until("$end ends it", sub { $sleepers->() == 0 });
	finish_psql($run);
	$local->start if $end =~ /stop/;
	sql_ok($local, $call, '42', "calls work after $end");
}

# a process that sends a cancel request dies of no signal: in a container the postmaster may be its heir
SKIP:
{
	skip '/proc tells what a process does with signals', 5 unless -r "/proc/$$/status";
	$proxy->clear;
	sql_ok($local, q{SELECT pool_config.exec('lame', 'select 1')}, 'SELECT 1', 'a remote that answers, still');
	$proxy->rule('down type T hold');
	$proxy->tell('cancels', 'hang');
	my $worker = worker($local);
	my $run = start_psql($local, q{SET statement_timeout = '200ms'; SELECT pool_config.exec('lame', 'select 1')});
	my @helpers;
	poll_until('a request to cancel hangs', sub {
		@helpers = grep { (slurp_status($_)->{PPid} // 0) == $worker } map { m{(\d+)} } glob '/proc/[0-9]*';
		return @helpers == 1;
	});
	kill $_, @helpers for 'TERM', 'INT', 'QUIT', 'HUP';
	my $status = slurp_status($helpers[0]);
	like($status->{State} // '', qr/^[SRD]/, 'it lives on when the group of the worker is told to end');
	ok(hex($status->{SigCgt} // 0) >> 13 & 1, 'and hears its alarm');
	poll_until('which ends it', sub { !slurp_status($helpers[0])->{PPid} });
	finish_psql($run);
	$proxy->clear;
}

# --- a worker that dies every second, under load
{
	my $end  = time + 6;
	my $seen = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	my $loop = q{
		CREATE TEMP TABLE outcome (code text);
		DO $$ DECLARE x int; BEGIN
			FOR i IN 1..100000 LOOP
				EXIT WHEN clock_timestamp() > '%s';
				BEGIN
					SELECT a INTO x FROM pool_config.query('crm', 'select ' || i) AS t(a int);
					INSERT INTO outcome VALUES (CASE WHEN x = i THEN 'right' ELSE 'wrong' END);
				EXCEPTION WHEN OTHERS THEN INSERT INTO outcome VALUES (SQLSTATE); END;
			END LOOP; END $$;
		SELECT code || ' ' || count(*) FROM outcome GROUP BY code};
	my $until = $local->safe_psql('postgres', q{SELECT now() + '6 s'});
	my @runs  = map { start_psql($local, sprintf $loop, $until) } 1 .. 4;
	my $killed = 0;
	while (time < $end - 0.5)
	{
		my ($rc, $pid) = $local->psql('postgres', 'SELECT pid FROM pool_config.workers');
		$killed += kill 'TERM', $pid if $pid =~ /^\d+$/;
		sleep 1;
	}
	finish_psql($_) for @runs;
	my %outcome;
	for (map { split /\n/, $_->{out} } @runs) { my ($code, $n) = split / /; $outcome{$code} += $n; }
	diag("with $killed workers killed: " . join(', ', map { "$_ $outcome{$_}" } sort keys %outcome));
	cmp_ok($killed, '>=', 3, 'the worker was killed again and again');
	cmp_ok($outcome{right} // 0, '>', 100, 'calls go on');
	is(join(' ', grep { !/^(?:right|08006)$/ } sort keys %outcome), '', 'each is right, or was lost under way');
	cmp_ok($outcome{'08006'} // 0, '<=', 4 * ($killed + 1), 'at most one for each session and worker');
	sql_ok($local, $call, '42', 'and the last worker serves');
}

# --- a worker that is stopped
{
	my $worker = worker($local);
	my $has = start_psql($local, "$call;\n\\! kill -STOP $worker\n$call;\nSELECT 'served'");
	finish_psql($has);
	like($has->{out}, qr/42\n42\nserved/, 'who has a connection goes on without the worker');
	for my $limit ("SET statement_timeout = '500ms'", "SET pool_config.pool_timeout = '500ms'")
	{
		my $start = time;
		my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\n$limit; SELECT pool_config.exec('lame', 'select 1');");
		like($err, qr/ERROR:  (?:57014|53300|08001|55000|57\w\w\w)/, "who waits for a stopped worker has his limit: $limit");
		cmp_ok(time - $start, '<', 2, 'which is kept');
	}
	my $run = start_psql($local, "\\set VERBOSITY verbose\nSET statement_timeout = '60s'; SELECT pool_config.exec('lame', 'select 1');");
	poll_until('a session waits for the worker', sub {
		$local->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%lame%' AND pid <> pg_backend_pid()}) == 1;
	});
	my $start = time;
	$local->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%lame%' AND pid <> pg_backend_pid()});
	finish_psql($run);
	like($run->{err}, qr/ERROR:  57014/, 'and can be cancelled');
	cmp_ok(time - $start, '<', 2, 'at once');
	kill 'CONT', $worker;
	$proxy->clear;
	sql_ok($local, q{SELECT pool_config.exec('lame', 'select 1')}, 'SELECT 1', 'all is well when it goes on');
	is(worker($local), $worker, 'and it is the same');
	poll_until('nothing is leased, nobody waits', sub {
		$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.pools WHERE in_use + connecting + waiting > 0}) == 0;
	});
}

# --- copies
$local->backup('copy');
my $dir = $local->backup_dir . '/copy';
is(join(' ', grep { -S || -p } glob("$dir/* $dir/*/*")), '', 'a base backup holds no socket or pipe');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($local, 'copy', has_streaming => 1);
$standby->start;
$local->wait_for_catchup($standby);
sql_ok($standby, $call, '42', 'a standby calls');
isnt(worker($standby), worker($local), 'two clusters on one machine, with a worker each');
{
	my $until = $standby->safe_psql('postgres', q{SELECT now() + '3 s'});
	my $run = start_psql($standby, qq{DO \$\$ DECLARE x int; BEGIN
			WHILE clock_timestamp() < '$until' LOOP SELECT a INTO x FROM pool_config.query('crm', 'select 42') AS t(a int); END LOOP; END \$\$;
		SELECT 'went on'});
	my $worker = worker($standby);
	$standby->promote;
	finish_psql($run);
	like($run->{out}, qr/went on/, 'a promotion is not felt') or diag($run->{err});
	is(worker($standby), $worker, 'also not by the worker');
	$standby->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', pool_size => 2)});
	sql_ok($standby, $call, '42', 'then targets can be changed there');
	my $pid = worker($local);
	$standby->stop('immediate');
	sql_ok($local, $call, '42', 'the end of one cluster is nothing to the other');
	is(worker($local), $pid, 'nor to its worker');
}

$local->safe_psql('postgres', 'CREATE DATABASE restored');
{
	my ($dump, $err);
	IPC::Run::run([ 'pg_dump', '-d', $local->connstr('postgres') ], '>', \$dump, '2>', \$err) or diag($err);
	my ($out);
	ok(IPC::Run::run([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $local->connstr('restored') ], '<', \$dump, '>', \$out, '2>', \$err), 'a dump is restored') or diag($err);
	is($local->safe_psql('restored', $call), '42', 'with targets that work');
	is($local->safe_psql('restored', q{SELECT pool_size FROM (SELECT value AS pool_size FROM pg_foreign_server, pg_options_to_table(srvoptions) o(name, value) WHERE srvname = 'crm' AND name = 'pool_size') x}), '3', 'and their settings');
}

# --- without a postmaster
{
	$local->stop;
	my ($out, $err);
	my $sql = "SELECT pool_config.exec('crm', 'select 1')\n";
	IPC::Run::run([ 'postgres', '--single', '-D', $local->data_dir, 'postgres' ], '<', \$sql, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	like($err, qr/ERROR:.*pool_config/, 'in single-user mode a call is refused with a sentence');
	unlike($err, qr/PANIC|TRAP|signal/, 'and nothing else');
}

# --- pg_upgrade
{
	my $new = PostgreSQL::Test::Cluster->new('upgraded');
	$new->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
	$new->append_conf('postgresql.conf', "shared_preload_libraries = 'pool_config'\nfsync = off");
	my $bindir = $local->config_data('--bindir');
	my ($out, $err) = ('', '');
	my $where = PostgreSQL::Test::Utils::tempdir();
	my @command = ('pg_upgrade', '-d', File::Spec->rel2abs($local->data_dir), '-D', File::Spec->rel2abs($new->data_dir), '-b', $bindir, '-B', $bindir,
		'-p', $local->port, '-P', $new->port, '-s', $new->host, '--no-sync');
	my $connections = $proxy->count->{connections};
	ok(IPC::Run::run(\@command, '>', \$out, '2>&1', init => sub { chdir $where }), 'pg_upgrade, with targets') or diag($out);
	is($proxy->count->{connections}, $connections, 'which connects to none of them');
	$new->start;
	is($new->safe_psql('postgres', $call), '42', 'and they work afterwards');
	$new->stop;
}

done_testing();
