# Who waits for a connection leaves what he wants to say in the queue.  Over TLS
# the worker says it as soon as the connection comes back, before he has woken.
# Both transports.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $remote = start_remote('remote');
my $local  = start_local('local');
make_target($local, $remote, 'crm', pool_size => 1, max_overflow => 0);
$remote->safe_psql('postgres', 'CREATE TABLE said (what text); GRANT ALL ON said TO app');

# Holds advisory locks of the remote, on which statements wait.
my $gate = $remote->background_psql('postgres', on_error_stop => 0);
my $gates = 0;

# Somebody holds the connection until the gate is opened.
sub close_gate
{
	$gate->query_safe("SELECT pg_advisory_lock($gates)");
	my $holder = start_psql($local, "SELECT pool_config.exec('crm', 'select pg_advisory_lock_shared($gates)')");
	poll_until('somebody holds the connection', sub { remote_sessions($remote, "wait_event_type = 'Lock'") == 1 });
	return $holder;
}

sub open_gate
{
	my ($holder) = @_;
	$gate->query_safe("SELECT pg_advisory_unlock($gates)");
	finish_psql($holder);
	$gates++;
}

# The session calls once while nobody holds the connection, then queues; by
# then that connection may be another one.
sub queue_up
{
	my ($sql, $meanwhile) = @_;
	my $session = $local->background_psql('postgres', on_error_stop => 0);
	$session->query_safe("SELECT pool_config.exec('crm', 'select 1')");
	$meanwhile->() if $meanwhile;
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my $holder = close_gate();
	$session->{stdin} .= "$sql;\n\\echo over\n\\warn over\n";
	$session->{run}->pump_nb;
	poll_until('a session waits in the queue', sub {
		$local->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity a JOIN pool_config.waiters USING (pid) WHERE pid = $pid AND a.wait_event_type = 'Extension'") == 1;
	});
	return ($session, $pid, $holder);
}

# What it said in the end.  It lives on, for its end would mend what it left.
my @over;
sub outcome
{
	my ($session) = @_;
	my $deadline = time + 60;
	while ($session->{stdout} !~ /over\n/ || $session->{stderr} !~ /over\n/)
	{
		die 'no end: ' . $session->{stderr} if time > $deadline;
		eval { $session->{run}->pump_nb; 1 } or last;
		select undef, undef, undef, 0.01;
	}
	my $said = $session->{stdout} . $session->{stderr};
	$session->{stdout} = $session->{stderr} = '';
	push @over, $session;
	return $said;
}

sub at_rest
{
	my ($what) = @_;
	poll_until("$what: nothing is leased, nobody waits", sub {
		$local->safe_psql('postgres', 'SELECT count(*) FROM pool_config.pools WHERE in_use + connecting + waiting > 0') == 0;
	});
	sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select 42') AS t(a int)}, '42', "$what: the next call is right");
	eval { $_->quit } for splice @over;
}

# --- said once, and the answer is the caller's own
{
	my ($session, $pid, $holder) = queue_up(q{SELECT pool_config.exec('crm', 'insert into said values (''once'')')});

	# a plain socket needs the session itself
	kill 'STOP', $pid if $transport eq 'relay';
	open_gate($holder);
	poll_until('it is said though the session stands still', sub {
		$remote->safe_psql('postgres', q{SELECT count(*) FROM said WHERE what = 'once'}) == 1;
	});
	kill 'CONT', $pid;
	like(outcome($session), qr/INSERT 0 1/, 'the session gets its answer');
	is($remote->safe_psql('postgres', q{SELECT count(*) FROM said WHERE what = 'once'}), '1', 'it was said once');
	at_rest('said once');
}

# --- state of the session before is not met, parameters and rows are its own
{
	my ($session, $pid, $holder) = queue_up(q{SELECT * FROM pool_config.query('crm', 'select $1::text, coalesce(nullif(current_setting(''my.tenant'', true), ''''), ''none''), repeat(''x'', 60000)', 'own') AS t(a text, b text, c text)});
	open_gate($holder);
	like(outcome($session), qr/own\|none\|x{60000}\n/, 'rows and parameters are its own');
	at_rest('rows');
}

# --- a longer one than is kept waits as ever
{
	my ($session, $pid, $holder) = queue_up(q{SELECT length(x) FROM pool_config.query('crm', 'select $1::text', repeat('x', 10000)) AS t(x text)});
	open_gate($holder);
	like(outcome($session), qr/^10000$/m, 'a long statement');
	at_rest('a long statement');
}

# --- an error of the remote
{
	my ($session, $pid, $holder) = queue_up(q{SELECT pool_config.exec('crm', 'select 1/0')});
	open_gate($holder);
	like(outcome($session), qr/ERROR:  division by zero/, 'an error of the remote');
	at_rest('an error of the remote');
}

# --- ways out while it runs at the remote
my %ways = (
	'cancelled'         => [ qr/canceling statement due to user request/, sub { $local->safe_psql('postgres', "SELECT pg_cancel_backend($_[0])") } ],
	'terminated'        => [ qr/terminating connection/, sub { $local->safe_psql('postgres', "SELECT pg_terminate_backend($_[0])") } ],
	'remote ended'      => [ qr/lost|terminating connection/, sub { $remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'pool_config'}) } ],
	'worker ended'      => [ qr/was lost.*Whether the statement took effect is not known/s, sub { kill 'TERM', $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers') } ],
	'disconnected'      => [ qr/was lost/, sub { $local->safe_psql('postgres', q{SELECT pool_config.disconnect('crm')}) } ],
	'command_timeout'   => [ qr/command_timeout/, sub { } ],
	'statement_timeout' => [ qr/statement timeout/, sub { } ],
);
for my $way (sort keys %ways)
{
	my ($expected, $act) = @{ $ways{$way} };
	my $set = $way eq 'command_timeout' ? "SET pool_config.command_timeout = '2s';" : $way eq 'statement_timeout' ? "SET statement_timeout = '4s';" : '';
	my $next = $gates + 1;

	$gate->query_safe("SELECT pg_advisory_lock($next)");
	my ($session, $pid, $holder) = queue_up("$set SELECT pool_config.exec('crm', 'select pg_advisory_lock_shared($next)')");
	open_gate($holder);
	poll_until("$way: the next statement runs", sub { remote_sessions($remote, "wait_event_type = 'Lock' AND query LIKE '%($next)%'") == 1 })
	  unless $way =~ /timeout/;
	$act->($pid);
	like(outcome($session), $expected, "$way: as told");
	poll_until("$way: the remote statement is stopped", sub { remote_sessions($remote, "wait_event_type = 'Lock'") == 0 }, 10)
	  unless $way eq 'worker ended';    # who would cancel it
	$gate->query_safe("SELECT pg_advisory_unlock($next)");
	poll_until("$way: the worker serves", sub { $local->safe_psql('postgres', 'SELECT count(pid) FROM pool_config.workers') == 1 });
	at_rest($way);
}

# --- who gives up the queue leaves nothing behind that could be said
{
	my ($session, $pid, $holder) = queue_up(q{SET pool_config.pool_timeout = '300ms'; SELECT pool_config.exec('crm', 'insert into said values (''never'')')});
	like(outcome($session), qr/became free within pool_timeout/, 'a wait that ends');
	open_gate($holder);
	at_rest('a wait that ends');
	is($remote->safe_psql('postgres', q{SELECT count(*) FROM said WHERE what = 'never'}), '0', 'what was given up was not said');
}

# --- it runs when the caller's pool_timeout ends, over a connection new to him
SKIP:
{
	skip 'there is no relay', 6 if $transport ne 'relay';
	my $next = $gates + 1;

	$gate->query_safe("SELECT pg_advisory_lock($next)");
	my $started = time;
	my ($session, $pid, $holder) = queue_up("SET pool_config.pool_timeout = '5s'; SELECT pool_config.exec('crm', 'select pg_advisory_lock_shared($next)')",
		sub { $local->safe_psql('postgres', q{SELECT pool_config.recycle('crm')}) });
	kill 'STOP', $pid;
	open_gate($holder);
	poll_until('the next statement runs', sub { remote_sessions($remote, "wait_event_type = 'Lock' AND query LIKE '%($next)%'") == 1 });
	poll_until('the wait for a connection would be over', sub { time > $started + 8 });
	my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	kill 'STOP', $worker;
	kill 'CONT', $pid;
	poll_until('the session waits for the worker', sub {
		$local->safe_psql('postgres', "SELECT wait_event FROM pg_stat_activity WHERE pid = $pid") =~ /Worker|Extension/ }, 10);    # the latter before 17
	kill 'CONT', $worker;
	$gate->query_safe("SELECT pg_advisory_unlock($next)");
	like(outcome($session), qr/SELECT 1/, 'what was sent in time has its answer awaited');
	at_rest('sent in time');
}

# --- a worker that was restarted is told to cancel what it sent
{
	my $next = $gates + 1;
	my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');

	$gate->query_safe("SELECT pg_advisory_lock($next)");
	my ($session, $pid, $holder) = queue_up("SELECT pool_config.exec('crm', 'select pg_advisory_lock_shared($next)')", sub {
		kill 'TERM', $worker;
		poll_until('another worker', sub { $local->safe_psql('postgres', 'SELECT coalesce(max(pid), 0) FROM pool_config.workers') !~ /^(0|$worker)$/ });
	});
	open_gate($holder);
	poll_until('the next statement runs', sub { remote_sessions($remote, "wait_event_type = 'Lock' AND query LIKE '%($next)%'") == 1 });
	$local->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	like(outcome($session), qr/canceling statement due to user request/, 'after a restart of the worker: as told');
	poll_until('... the remote statement is stopped', sub { remote_sessions($remote, "wait_event_type = 'Lock'") == 0 }, 10);
	$gate->query_safe("SELECT pg_advisory_unlock($next)");
	at_rest('a worker that was restarted');
}

# --- a worker that stands still: the session sees to it itself, within its limits
SKIP:
{
	skip 'there is no relay', 4 if $transport ne 'relay';
	my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	my ($session, $pid, $holder) = queue_up(q{SET statement_timeout = '4s'; SELECT pool_config.exec('crm', 'insert into said values (''late'')')});
	my $holder_pid = $local->safe_psql('postgres', 'SELECT leased_by FROM pool_config.connections');

	# the holder has its answer, and hands over when nobody is there to say it
	kill 'STOP', $holder_pid;
	$gate->query_safe("SELECT pg_advisory_unlock($gates)");
	poll_until('the holder was answered', sub { remote_sessions($remote, "state = 'idle'") == 1 });
	select undef, undef, undef, 0.2;
	kill 'STOP', $worker;
	kill 'CONT', $holder_pid;
	finish_psql($holder);
	like($holder->{out}, qr/SELECT 1/, 'the holder is done');
	like(outcome($session), qr/statement timeout/, 'a worker that stands still holds nobody');
	kill 'CONT', $worker;
	$gates++;
	at_rest('a worker that stood still');
	cmp_ok($remote->safe_psql('postgres', q{SELECT count(*) FROM said WHERE what = 'late'}), '<=', 1, 'it was said once or never');
}

$gate->quit;
done_testing();
