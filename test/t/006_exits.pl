# Every way out of a call gives the connection back or destroys it; nothing is
# left behind; the queue is first come, first served; a call is four system
# calls.
# Both transports.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote', 'max_connections = 100');
my $local  = start_local('local', 'restart_after_crash = on', 'max_connections = 120');
make_target($local, $remote, 'crm', pool_size => 2, max_overflow => 0);

sub pool
{
	return $local->safe_psql('postgres', q{SELECT open || ' ' || idle || ' ' || in_use || ' ' || connecting || ' ' || waiting FROM pool_config.pools WHERE target = 'crm'});
}

sub at_rest
{
	my ($what) = @_;
	return poll_until("$what: nothing is leased, nobody waits", sub { pool() =~ /^(\d+) \1 0 0 0$/ });
}

# --- ways out, each followed by a call that works
my $busy = q{SELECT pool_config.exec('crm', 'select pg_sleep(60)')};
my %ways = (
	'a remote error'        => q{SELECT pool_config.exec('crm', 'select 1/0');},
	'a local error'         => q{SELECT * FROM pool_config.query('crm', 'select ''x''') AS t(a int);},
	'too few columns'       => q{SELECT * FROM pool_config.query('crm', 'select 1') AS t(a int, b int);},
	'an error after rows'   => q{SELECT count(*) FROM pool_config.query('crm', 'select 1000/(1000-g) from generate_series(1,2000) g') AS t(a int);},
	'a local error after rows' => q{SELECT count(*) FROM pool_config.query('crm', 'select case g when 90000 then ''x'' else ''1'' end from generate_series(1,100000) g') AS t(a int);},
	'statement_timeout'     => qq{SET statement_timeout = '200ms'; $busy;},
	'a timeout in the rows' => q{SET statement_timeout = '200ms'; SELECT count(*) FROM pool_config.query('crm', 'select g from generate_series(1, 100000000) g') AS t(a int);},
	'COPY'                  => q{SELECT pool_config.exec('crm', 'COPY pg_class TO STDOUT');},
	'COPY FROM'             => q{SELECT pool_config.exec('crm', 'COPY t FROM STDIN');},
	'two statements'        => q{SELECT pool_config.exec('crm', 'select 1; select 2');},
	'an open transaction'   => q{SELECT pool_config.exec('crm', 'BEGIN');},
	'nothing at all'        => q{SELECT pool_config.exec('crm', '');},
	'a subtransaction'      => q{DO $$ BEGIN FOR i IN 1..50 LOOP BEGIN
		PERFORM pool_config.exec('crm', 'select 1/0'); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$;},
	'a nested call'         => q{CREATE DOMAIN checked AS int CHECK (pool_config.exec('crm', 'select ' || VALUE) IS NOT NULL);
		SELECT count(*) FROM pool_config.query('crm', 'select g from generate_series(1,20) g') AS t(a checked); DROP DOMAIN checked;},
	'the end of the session' => q{SELECT pool_config.exec('crm', 'select 1'); SELECT pg_terminate_backend(pg_backend_pid());},
);
for my $way (sort keys %ways)
{
	my ($rc, $out, $err) = $local->psql('postgres', "SET client_min_messages = error;\n$ways{$way}\nRESET statement_timeout;\nSELECT pool_config.exec('crm', 'select 42');",
		on_error_stop => 0);
	like($out, qr/SELECT 1\z/, "$way: the next call works") or diag($err) unless $way =~ /end of/;
	at_rest($way);
}

# --- a session is terminated, or its client goes, in the midst of a call
for my $end ('pg_terminate_backend', 'pg_cancel_backend', 'kill -9 of the client')
{
	my $run = start_psql($local, $busy);
	poll_until("$end: a call runs", sub { remote_sessions($remote, "state = 'active'") == 1 });
	if ($end =~ /^pg_/)
	{
		$local->safe_psql('postgres', qq{SELECT $end(leased_by) FROM pool_config.connections WHERE leased_by IS NOT NULL});
		finish_psql($run);
	}
	else
	{
		$local->safe_psql('postgres', q{SELECT pg_terminate_backend(leased_by) FROM pool_config.connections WHERE leased_by IS NOT NULL});
		kill_psql($run);
	}
	at_rest($end);
	poll_until("$end: the remote statement is stopped", sub { remote_sessions($remote, "state = 'active'") == 0 }, 10);
}

# --- a backend is killed: crash restart, the pool starts clean
{
	my $run = start_psql($local, $busy);
	poll_until('a call runs', sub { remote_sessions($remote, "state = 'active'") == 1 });
	kill 'KILL', $local->safe_psql('postgres', q{SELECT leased_by FROM pool_config.connections WHERE leased_by IS NOT NULL});
	finish_psql($run);
	poll_until('after a crash calls work again', sub {
		my ($rc, $out) = $local->psql('postgres', q{SELECT pool_config.exec('crm', 'select 1')});
		$rc == 0;
	});
	at_rest('after a crash');
	$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()});
}

# --- waiting
{
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', pool_size => 1)});
	my $first = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(2)')});
	poll_until('one session holds the connection', sub { pool() =~ /^\d+ \d+ 1 0 0$/ });
	fails_with($local, q{SET pool_config.pool_timeout = 0; SELECT pool_config.exec('crm', 'select 1');}, '53300', 'became free', 'pool_timeout 0 does not queue');
	fails_with($local, q{SET pool_config.pool_timeout = '100ms'; SELECT pool_config.exec('crm', 'select 1');}, '53300', '1 of at most 1', 'pool_timeout is a limit');
	my @runs;
	for my $i (1 .. 8)
	{
		push @runs, start_psql($local, "SET pool_config.pool_timeout = -1; SELECT * FROM pool_config.query('crm', 'select $i || '':'' || clock_timestamp()::text from pg_sleep(0.02)') AS t(x text);");
		poll_until("$i wait", sub { pool() =~ / $i$/ });
	}
	finish_psql($_) for $first, @runs;
	my @served = sort { (split /:/, $a->{out}, 2)[1] cmp (split /:/, $b->{out}, 2)[1] } @runs;
	is(join(' ', map { (split /:/, $_->{out})[0] } @served), '1 2 3 4 5 6 7 8', 'first come, first served');
	at_rest('after waiting');

	# who gives up leaves no hole
	$first = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(1)')});
	poll_until('one session holds the connection', sub { pool() =~ /^\d+ \d+ 1 0 0$/ });
	my @short = map { start_psql($local, q{SET statement_timeout = '300ms'; SELECT pool_config.exec('crm', 'select 1')}) } 1 .. 5;
	my @long  = map { start_psql($local, q{SELECT pool_config.exec('crm', 'select 1')}) } 1 .. 5;
	finish_psql($_) for @short, @long, $first;
	is(scalar(grep { $_->{out} eq "SELECT 1\n" } @long), 5, 'cancelled waiters leave no hole');
	at_rest('after cancelled waiters');

	# a session that would wait for itself is told at once
	fails_with($local, q{CREATE DOMAIN checked AS int CHECK (pool_config.exec('crm', 'select 1') IS NOT NULL);
		SELECT * FROM pool_config.query('crm', 'select 1') AS t(a checked);}, '53300', 'holds all connections', 'a call that would wait for itself');
	at_rest('after a call that would wait for itself');
	$local->safe_psql('postgres', 'DROP DOMAIN checked');
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', pool_size => 2)});
}

# --- no leak: calls with errors, cancels and kills among them; then descriptors
# and memory are at their level
sub descriptors
{
	my ($pid) = @_;
	my @fds = glob("/proc/$pid/fd/*");
	return scalar(@fds);
}
sub rss
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /VmRSS:\s+(\d+)/ ? $1 : 0;
}
{
	my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	$local->safe_psql('postgres', q{
		CREATE SEQUENCE calls;
		CREATE SEQUENCE cancels;
		CREATE FUNCTION mixed_calls(last int8) RETURNS void LANGUAGE plpgsql AS $f$
		DECLARE i int8;
		BEGIN
			LOOP
				i := nextval('calls');
				EXIT WHEN i > last;
				BEGIN
					PERFORM * FROM pool_config.query('crm', 'select ' || i) AS t(a int);
					IF i % 10 = 0 THEN PERFORM pool_config.exec('crm', 'select 1/0'); END IF;
					IF i % 101 = 0 THEN PERFORM * FROM pool_config.query('crm', 'select ''x''') AS t(a int); END IF;
					IF i % 997 = 0 THEN
						SET LOCAL pool_config.command_timeout = '2ms';
						PERFORM pool_config.exec('crm', 'select pg_sleep(1)');
					END IF;
				EXCEPTION
					WHEN query_canceled THEN PERFORM nextval('cancels');
					WHEN OTHERS THEN NULL;
				END;
			END LOOP;
		END $f$});
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', pool_size => 4)});
	my $kills = PostgreSQL::Test::Utils::tempdir() . '/kills';

	# four sessions share the calls; who is killed is replaced
	my $levels = sub {
		my ($n) = @_;
		my $last   = $local->safe_psql('postgres', 'SELECT last_value FROM calls') + $n;
		my $killer = start_psql($local, q{DO $$
			DECLARE victim int;
			BEGIN FOR i IN 1..100000 LOOP
				SELECT leased_by INTO victim FROM pool_config.connections WHERE leased_by IS NOT NULL ORDER BY random() LIMIT 1;
				IF i % 5 = 0 THEN PERFORM pg_terminate_backend(victim); ELSE PERFORM pg_cancel_backend(victim); END IF;
				PERFORM pg_sleep(0.05);
			END LOOP; END $$;});
		my $remote_killer = start_psql($remote, q{DO $$
			BEGIN FOR i IN 1..100000 LOOP
				PERFORM pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = 'pool_config' ORDER BY random() LIMIT 1) v;
				PERFORM pg_sleep(0.1);
				PERFORM pg_stat_clear_snapshot();
			END LOOP; END $$;});
		my @runs = map {
			IPC::Run::start(
				[ 'sh', '-c', 'until psql -XqAt -d "$0" -c "$1" >/dev/null 2>&1; do echo killed >>"$2"; done',
					$local->connstr('postgres'), "SELECT mixed_calls($last)", $kills ],
				IPC::Run::timeout(180))
		} 1 .. 4;
		$_->finish for @runs;
		for my $node ($local, $remote)
		{
			$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO%' AND pid <> pg_backend_pid()});
		}
		finish_psql($_) for $killer, $remote_killer;
		at_rest("$n mixed calls in four sessions");
		poll_until('idle connections were reset', sub {
			remote_sessions($remote, q{query NOT LIKE '%DISCARD ALL%' AND query <> ''}) == 0;
		});
		# how many connections are left is chance
		my $open = $local->safe_psql('postgres', 'SELECT count(*) FROM pool_config.connections');
		return (descriptors($worker) - $open * ($transport eq 'relay' ? 3 : 1), rss($worker));
	};
	my ($fds1, $rss1) = $levels->(5000);
	my ($fds2, $rss2) = $levels->(100000);
	cmp_ok($fds2, '<=', $fds1 + 2, "descriptors of the worker after 100000 more calls ($fds1, $fds2)");
	cmp_ok($rss2, '<=', $rss1 + 1024, "memory of the worker, kB ($rss1, $rss2)");
	my $killed    = () = slurp_file($kills) =~ /killed/g;
	my $cancelled = $local->safe_psql('postgres', 'SELECT last_value FROM cancels');
	cmp_ok($killed, '>=', 10, "sessions were killed among them ($killed)");
	cmp_ok($cancelled, '>=', 100, "and calls were cancelled ($cancelled)");
	is($local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers'), $worker, 'the worker is the same');

	my $level = q{SELECT (SELECT sum(total_bytes) FROM pg_backend_memory_contexts) || ' ' || (SELECT count(*) FROM pg_ls_dir('/proc/self/fd'));};
	my $more  = sub { "SELECT mixed_calls((SELECT last_value FROM calls) + $_[0]);" };
	my $out   = $local->safe_psql('postgres', join("\n", $level, $more->(1500), $level, $more->(1500), $level, $more->(5000), $level));
	my @levels = map { [ split / / ] } grep { / / } split /\n/, $out;
	cmp_ok($levels[3][0], '<=', $levels[2][0] + 100_000, "memory contexts of a session after 5000 more calls ($levels[2][0], $levels[3][0])");
	cmp_ok($levels[3][1], '<=', $levels[2][1] + 1, 'and its descriptors');
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', pool_size => 2)});
}

sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost in all this');

# --- four system calls
SKIP:
{
	skip 'strace is not here, or may not trace', 1
	  if system('strace -f -o /dev/null true >/dev/null 2>&1') != 0;
	my $scope = '/proc/sys/kernel/yama/ptrace_scope';
	skip 'this system lets no process be traced by another', 1
	  if -r $scope && slurp_file($scope) > 0 && $> != 0;
	my $trace = PostgreSQL::Test::Utils::tempdir() . '/trace';
	my $pid;

	# the session waits until it is being traced
	my $wait = q{DO $$ BEGIN WHILE NOT EXISTS (SELECT 1 FROM traced WHERE pid = pg_backend_pid()) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$;};
	my $find = sub {
		poll_until('a session waits for its tracer', sub {
			$pid = $local->safe_psql('postgres', q{SELECT max(pid) FROM pg_stat_activity
				WHERE query LIKE 'DO%FROM traced%' AND pid NOT IN (SELECT pid FROM traced)});
			$pid =~ /^\d+$/;
		});
	};
	my $attach = sub {
		my ($file, @options) = @_;
		my $run = IPC::Run::start([ 'strace', '-p', $pid, '-o', $file, @options ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
		poll_until('it is traced', sub { slurp_file("/proc/$pid/status") =~ /TracerPid:\s+[1-9]/ });
		$local->safe_psql('postgres', "INSERT INTO traced VALUES ($pid)");
		return $run;
	};
	$local->safe_psql('postgres', 'CREATE TABLE traced (pid int)');
	my $run = start_psql($local, qq{
		SELECT pg_backend_pid();
		SELECT * FROM pool_config.query('crm', 'select 1') AS t(a int);
		$wait
		DO \$\$ BEGIN FOR i IN 1..500 LOOP PERFORM * FROM pool_config.query('crm', 'select 1') AS t(a int); END LOOP; END \$\$});
	$find->();
	my $strace = $attach->($trace);
	finish_psql($run);
	eval { $strace->finish; };
	my $lines = -s $trace ? slurp_file($trace) : '';
	skip 'strace did not trace', 1 unless $lines =~ /sendto/;
	my ($steady) = $lines =~ /((?:.*\n){400})(?:.*\n){100}\z/ ? ($1) : ('');
	my %count;
	$count{$1}++ while $steady =~ /^(\w+)\(/mg;
	diag('system calls of 100 remote calls: ' . join(', ', map { "$_ $count{$_}" } sort keys %count));
	my $all = () = $lines =~ /^(?:recvfrom|sendto|epoll_wait)\(/mg;
	cmp_ok($all, '<=', 500 * 4 + 100, "500 calls take at most four system calls each ($all)");

	# at a handover, too, one message goes out: the reset and the statement
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', pool_size => 1)});
	my $loop = q{DO $$ BEGIN FOR i IN 1..%d LOOP PERFORM * FROM pool_config.query('crm', 'select 1') AS t(a int); PERFORM pg_sleep(%s); END LOOP; END $$;};
	my $other = start_psql($local, sprintf($loop, 1500, 0.002));
	$run = start_psql($local, $wait . sprintf($loop, 100, 0.01));
	$find->();
	$trace .= '2';
	$strace = $attach->($trace, '-e', 'trace=sendto');
	finish_psql($run);
	eval { $strace->finish; };
	kill_psql($other);
	my @sends  = grep { /"[PB]\\0/ } split /\n/, slurp_file($trace);
	my @resets = grep { /DISCARD ALL/ } @sends;
	# over TLS the worker may say it for a session that waits
	cmp_ok(scalar(@sends), '<=', 100, '100 calls, 100 messages at most');
	cmp_ok(scalar(@sends), '>=', $transport eq 'relay' ? 60 : 100, 'each call sends its own: ' . scalar(@sends));
	cmp_ok(scalar(@resets), '>=', $transport eq 'relay' ? 30 : 50, 'most of them with a reset in front: ' . scalar(@resets));
}

done_testing();
