# Test build: it has places where a process fails, is cancelled, dies or stands
# still (shared/failpoint.h).  After each, at each: nothing stays leased, the
# next call is right and meets nobody else's state, the worker serves.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

# both: plain sockets, and TLS where it says so
$transport = 'relay';
my $remote = start_remote('remote');
$remote->safe_psql('postgres', 'CREATE TABLE counter AS SELECT 0 AS n; GRANT ALL ON counter TO app');
my $local  = start_local('local', 'restart_after_crash = on', 'log_min_messages = warning');
make_target($local, $remote, 'crm', pool_size => 1, max_overflow => 0);
make_target($local, $remote, 'tls', pool_size => 1, max_overflow => 0, sslmode => 'require');

sub at_rest
{
	return $local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.pools WHERE in_use + connecting + waiting > 0}) == 0;
}

sub works
{
	my ($rc, $out) = $local->psql('postgres', q{SET statement_timeout = '5s'; SELECT * FROM pool_config.query('crm', 'select 42') AS t(a int)});
	return $rc == 0 && $out eq '42';
}

my $leave = q{SET client_min_messages = error; SELECT pool_config.exec('crm', 'SET my.tenant = ''left''');};
my $look  = q{SELECT coalesce(nullif(x, ''), 'none') FROM pool_config.query('crm', 'select current_setting(''my.tenant'', true)') AS t(x text);};

# --- a session: "granted" and what follows lie between the lease and its end
for my $place ('granted', 'asked_for_socket', 'got_socket', 'leased', 'half_sent', 'sent', 'received', 'row_taken', 'answered', 'ending')
{
	for my $action ('error', 'cancel', 'terminate', 'fatal')
	{
		# what ends a lease cannot fail, but signals may come
		next if $place eq 'ending' && $action =~ /error|fatal/;
		$local->safe_psql('postgres', $leave);
		my ($rc, $out, $err) = $local->psql('postgres', "SET pool_config.failpoint = '$place $action';\n$look\n$look", on_error_stop => 0);
		unlike($out, qr/left/, "$place, $action: the state of another is not met");
		like($err, $action eq 'error' ? qr/failpoint "$place"/ : $action eq 'cancel' ? qr/canceling statement|^$/
			: $action eq 'fatal' ? qr/FATAL:.*failpoint "$place"/ : qr/terminating connection/, "$place, $action: as told");
		like($out, qr/none\z/, "$place, $action: the next call of the session is right") if $action =~ /error|cancel/;
		poll_until("$place, $action: nothing is leased, nobody waits", \&at_rest, 10);
		ok(works(), "$place, $action: others are served");
	}
}

# --- half of a message: what was meant is not run, and the rest is nobody's
for my $target ('crm', 'tls')
{
	for my $action ('error', 'cancel', 'terminate', 'fatal')
	{
		my $insert = qq{SELECT pool_config.exec('$target', 'update counter set n = n + 1');};
		$local->psql('postgres', "SET pool_config.failpoint = 'half_sent $action';\n$insert");
		is($local->safe_psql('postgres', qq{SELECT * FROM pool_config.query('$target', 'select n from counter') AS t(n int)}), '0', "$target, half a message, $action: nothing was run, the next call is right");
	}
}

# --- a statement that was posted is sent just when pool_timeout ends
{
	my $file = $local->data_dir . '/failpoint';
	my $s = open_psql($local);

	$remote->safe_psql('postgres', 'UPDATE counter SET n = 0');
	talk($s, q{SELECT pool_config.exec('tls', 'select 1')});
	my $lock = open_psql($remote);
	talk($lock, 'SELECT pg_advisory_lock(1)');
	my $holder = start_psql($local, q{SELECT pool_config.exec('tls', 'select pg_advisory_lock(1)')});
	poll_until('somebody holds the connection', sub { remote_sessions($remote, "wait_event = 'advisory'") == 1 });
	append_to_file($file, '');
	talk($s, q{SET pool_config.pool_timeout = '1500ms'; SET pool_config.failpoint = 'queued wait 2'});
	say_to($s, q{SELECT pool_config.exec('tls', 'update counter set n = n + 1')});
	poll_until('it has posted, and looks once more', sub {
		$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.waiters w JOIN pg_stat_activity USING (pid) WHERE wait_event IS NULL AND query_start < clock_timestamp() - interval '1.6 s'}) == 1 });
	talk($lock, 'SELECT pg_advisory_unlock(1)');
	finish_psql($holder);
	poll_until('the worker sends it', sub { $remote->safe_psql('postgres', 'SELECT n FROM counter') == 1 });
	unlink $file;
	is(talk($s, ''), 'UPDATE 1', 'it has its answer, though the time to wait for a connection is over');
	close_psql($s);
	close_psql($lock);
	poll_until('sent at the last moment: nothing is leased, nobody waits', \&at_rest, 10);
	$remote->safe_psql('postgres', 'UPDATE counter SET n = 0');
}

# --- a connection that is kept, and one in a transaction that is joined
$remote->safe_psql('postgres', 'CREATE TABLE t (i int); GRANT ALL ON t TO app');
for my $place ('leased', 'sent', 'received', 'answered', 'ending', 'committing')
{
	for my $action ('error', 'cancel', 'terminate', 'fatal')
	{
		next if $place eq 'ending' && $action =~ /error|fatal/;
		my $fail = "SET pool_config.failpoint = '$place $action';";
		my @options = (on_error_stop => 0);
		if ($place ne 'committing')
		{
			$local->psql('postgres', "SELECT pool_config.acquire('crm'); $leave $fail SELECT pool_config.exec('crm', 'select 1'); SELECT pool_config.release('crm')", @options);
			poll_until("$place, $action: what was acquired is not leased", \&at_rest, 10);
			unlike($local->safe_psql('postgres', $look), qr/left/, "... nor met");
		}
		my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\nBEGIN; SELECT pool_config.join_transaction('crm'); $leave SELECT pool_config.exec('crm', 'insert into t values (1)');\n$fail\nCOMMIT;", @options);
		like($err, qr/08007.*not known/, "committing, $action: as told") if $place eq 'committing' && $action =~ /error|cancel/;
		poll_until("$place, $action: what was joined is not leased", \&at_rest, 10);
		unlike($local->safe_psql('postgres', $look), qr/left/, "... nor met");
		is(remote_sessions($remote, "state LIKE 'idle in%'"), '0', '... and no transaction is open');
		ok(works(), "$place, $action: others are served");
	}
}

# in the queue
for my $action ('error', 'cancel', 'terminate', 'fatal')
{
	my $holder = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(0.5)')});
	poll_until('somebody holds the connection', sub { remote_sessions($remote, "state = 'active'") == 1 });
	my ($rc, $out, $err) = $local->psql('postgres', "SET pool_config.failpoint = 'queued $action';\n$look", on_error_stop => 0);
	is($out, '', "queued, $action: as told");
	finish_psql($holder);
	poll_until("queued, $action: nothing is leased, nobody waits", \&at_rest, 10);
	ok(works(), "queued, $action: others are served");
}

# in the queue, and the worker has said it already
for my $place ('granted', 'leased', 'received', 'answered')
{
	for my $action ('error', 'cancel', 'terminate', 'fatal')
	{
		$remote->safe_psql('postgres', 'UPDATE counter SET n = 0');
		my $caller = start_psql($local, qq{SELECT pool_config.exec('tls', 'select 1');
			DO \$\$ BEGIN FOR i IN 1..2000 LOOP
				EXIT WHEN EXISTS (SELECT FROM pool_config.connections WHERE target = 'tls' AND leased_by IS NOT NULL);
				PERFORM pg_sleep(0.01);
			END LOOP; END \$\$;
			SET pool_config.failpoint = '$place $action';
			SELECT pool_config.exec('tls', 'update counter set n = n + 1');});
		poll_until('a session has called', sub {
			$local->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO%' AND wait_event = 'PgSleep'}) == 1;
		});
		my $holder = start_psql($local, q{SELECT pool_config.exec('tls', 'select pg_sleep(0.5)')});
		finish_psql($_) for $holder, $caller;
		my $err = $caller->{err};
		isnt($err, '', "sent, $place, $action: as told");
		poll_until("sent, $place, $action: nothing is leased, nobody waits", \&at_rest, 10);
		like($remote->safe_psql('postgres', 'SELECT n FROM counter'), qr/^[01]$/, "sent, $place, $action: once or never");
		sql_ok($local, q{SELECT * FROM pool_config.query('tls', 'select 43') AS t(a int)}, '43', "sent, $place, $action: the next call is right");
	}
}

# --- a session that is killed restarts the server
for my $place ('granted', 'got_socket', 'row_taken', 'ending')
{
	$local->psql('postgres', "SET pool_config.failpoint = '$place kill';\n$look");
	poll_until("$place, kill: the server comes back and serves", \&works, 20);
	poll_until("$place, kill: nothing is leased, nobody waits", \&at_rest, 10);
}

# --- the worker, which learns of the place by a reload
sub tell_worker
{
	my ($setting) = @_;
	poll_until("failpoint '$setting'", sub {
		($local->psql('postgres', "ALTER SYSTEM SET pool_config.failpoint = '$setting'"))[0] == 0
		  && ($local->psql('postgres', 'SELECT pg_reload_conf()'))[0] == 0;
	});
	sleep 0.1;    # the worker reads it in its next turn
}
my $fresh = q{SELECT pool_config.recycle('crm')};
my %reach = (
	worker_dials         => $fresh,
	worker_connected     => $fresh,
	worker_passes_socket => 'SELECT 1',
	worker_cares         => $leave,
	worker_closes        => $fresh,
);
for my $place (sort keys %reach)
{
	for my $action ('terminate', 'kill', 'wait')
	{
		my $start = time;
		ok(works(), "$place, $action: before");
		append_to_file($local->data_dir . '/failpoint', '');
		tell_worker("$place $action");
		my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
		$local->psql('postgres', $reach{$place});
		sleep 1.5 if $place eq 'worker_cares';    # it comes to that after a second of idleness
		my $run = start_psql($local, "SET statement_timeout = '500ms'; $look");
		finish_psql($run);
		unlike($run->{out}, qr/left/, "$place, $action: no state of another is met");
		if ($action eq 'wait')
		{
			unlink $local->data_dir . '/failpoint';
		}
		tell_worker('');
		poll_until("$place, $action: all is well again", \&works, 20);
		poll_until("$place, $action: nothing is leased, nobody waits", \&at_rest, 10);
		poll_until("$place, $action: another worker serves", sub {
			my ($rc, $pid) = $local->psql('postgres', 'SELECT pid FROM pool_config.workers');
			$rc == 0 && $pid =~ /^\d+$/ && $pid != $worker;
		}, 10) if $action ne 'wait';
		unlink $local->data_dir . '/failpoint';
	}
}

# --- the worker has no memory, at each of its requests from its start on
{
	my $fired = $local->data_dir . '/failpoint.fired';
	my $since = $local->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
	my $offset = -s $local->logfile;
	my $tls   = q{SELECT * FROM pool_config.query('tls', 'select 43') AS t(a int)};
	my ($n, @late) = (0);
	for ($n = 1; $n <= 200; $n++)
	{
		tell_worker("worker_allocates error $n");
		my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
		kill 'TERM', $worker if $worker;
		# what has it allocate: both kinds of connection, a cancel, a reset, an end
		$local->psql('postgres', "SET statement_timeout = '3s'; SET pool_config.pool_timeout = 2; $leave $look $tls; SELECT pool_config.recycle('crm'); $look", on_error_stop => 0);
		$local->psql('postgres', q{SET statement_timeout = '200ms'; SELECT pool_config.exec('tls', 'select pg_sleep(5)')});
		$local->psql('postgres', "SET statement_timeout = '3s'; SET pool_config.pool_timeout = 2; $look $tls", on_error_stop => 0);
		my $denied = -e $fired;
		unlink $fired;
		tell_worker('');
		my $until = time + 10;
		my $well;
		do { $well = works() && ($local->psql('postgres', "SET statement_timeout = '3s'; $tls"))[1] eq '43' } until $well || time > $until;
		push @late, $n unless $well;
		last unless $denied;
	}
	is(join(' ', @late), '', 'whichever request of the worker for memory is denied, all is well again soon');
	cmp_ok($n, '>', 30, "those were $n requests");
	cmp_ok($n, '<=', 200, 'and no more');
	poll_until('nothing is leased, nobody waits', \&at_rest, 10);
	is($local->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $since, 'the server was not restarted');
	unlike(slurp_file($local->logfile, $offset), qr/terminated by signal/, 'nor did a process crash') ;
}

# a worker that stands still
append_to_file($local->data_dir . '/failpoint', '');
tell_worker('worker_dials wait');
$local->psql('postgres', $fresh);
my $stuck = start_psql($local, "SET statement_timeout = '300ms'; $look");
finish_psql($stuck);
like($stuck->{err}, qr/statement timeout/, 'a worker that stands still holds nobody beyond his limit');
unlink $local->data_dir . '/failpoint';

done_testing();
