# The network between the pool and a remote misbehaves: connections end at rest
# and at each message of a call, arrive in slices, go silent, are damaged.  A
# call ends with the right answer or with a clean error, in time; the next one
# works; nothing stays leased.
use strict;
use warnings;
use FaultProxy;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $remote = start_remote('remote');
my $local  = start_local('local', 'client_connection_check_interval = 200ms');
my $proxy  = FaultProxy->new($remote->port);

make_target($local, $remote, 'crm', port => $proxy->port, pool_size => 1, max_overflow => 0);

my $token = 0;

# A call that cannot be answered by chance: its token, or the error.
sub call
{
	my ($session) = @_;
	my $mine = 'token ' . ++$token;
	my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\n"
		  . "SELECT * FROM pool_config.query('crm', 'select ''$mine''::text') AS t(x text);");

	return $out eq $mine ? 'right' : $out ne '' ? "wrong: $out" : $err =~ /ERROR:  (\w{5}):/ ? $1 : "? $err";
}

sub works
{
	my ($what) = @_;

	return is(call(), 'right', $what);
}

sub is_at_rest
{
	return $local->safe_psql('postgres', q{SELECT open || ' ' || idle || ' ' || in_use || ' ' || connecting || ' ' || waiting
		FROM pool_config.pools WHERE target = 'crm'}) =~ /^(\d+) \1 0 0 0$/;
}

sub at_rest
{
	my ($what) = @_;

	return poll_until("$what: nothing is leased, nobody waits", \&is_at_rest);
}

# --- the end of an idle connection
for my $how ('fin', 'rst')
{
	works("before an idle connection ends by $how");
	$proxy->tell('cut', $how);
	works("an idle connection ended by $how: the next call simply works");
}
sub message
{
	my ($type, $body) = @_;
	return unpack 'H*', $type . pack('N', 4 + length $body) . $body;
}
my $pid = q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(pid int)};
my %at_rest = (
	'57P01 with text'   => [ message('E', "SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"), 'replaced' ],
	'half a message'    => [ '530000001e737461', 'replaced' ],
	'an answer nobody asked for' => [ message('C', "SELECT 1\0") . message('Z', 'I'), 'replaced' ],
	'garbage'           => [ 'ffffffffffffffffffff', 'replaced' ],
	'a change of client_encoding' => [ message('S', "client_encoding\0LATIN1\0"), 'replaced' ],
	'a notice'          => [ message('N', "SNOTICE\0C00000\0Mhello\0\0"), 'kept' ],
	'another parameter' => [ message('S', "TimeZone\0UTC\0"), 'kept' ],
	'a notification'    => [ message('A', pack('N', 1) . "channel\0text\0"), 'kept' ],
);
for my $what (sort keys %at_rest)
{
	my ($bytes, $then) = @{ $at_rest{$what} };
	my $before = $local->safe_psql('postgres', $pid);
	$proxy->tell('inject', "down $bytes");
	sleep 0.02;    # through the proxy and into the socket's buffer
	my $after = $local->safe_psql('postgres', $pid);
	is($after == $before ? 'kept' : 'replaced', $then, "at rest came $what: the connection is $then");
}
is($remote->safe_psql('postgres', "SELECT pg_terminate_backend(" . $local->safe_psql('postgres', $pid) . ", 10000)"), 't',
	'the remote ends an idle session');
works('and the next call simply works');
at_rest('after ends at rest');

# --- the end of a connection at each message of a call, the reset included
$proxy->tell('transcript', 'on');
works('a call is recorded');
my $transcript = $proxy->transcript;
like($transcript, qr/^(?:up:P up:B up:E )?up:P up:D up:B up:E up:S (?:down:S )*(?:down:1 down:2 (?:down:S )*down:C )?down:1 down:t down:T down:2 down:D down:C down:Z$/,
	'its messages are the expected ones');
for my $dir ('up', 'down')
{
	my $n = () = $transcript =~ /$dir:/g;
	for my $how ('fin', 'rst')
	{
		my @results;
		for my $k (1 .. 10)
		{
			my $rule = $proxy->rule("$dir message $k cut $how" . ($k % 2 ? '' : ' 3'));
			my $result = call();
			my $fired  = $proxy->fired($rule);
			$proxy->clear;
			my $after = call();
			push @results, "$k: $result, then $after" . (is_at_rest() ? '' : ', not at rest')
			  unless ($result eq '08006' || ($result eq 'right' && !$fired)) && $after eq 'right' && is_at_rest();
			last unless $fired;
			$n = $k if $k > $n;
		}
		is(join('; ', @results), '', "cut by $how at each message that goes $dir: lost or right, and the next call works");
		cmp_ok($n, '>=', 5, "that were $n messages");
	}
}
$proxy->tell('transcript', 'off');
at_rest('after cuts in calls');

# --- damage
for my $damage (
	[ 'a message of unknown type',     'down type T replace ' . message('!', 'x') ],
	[ 'a length that is too small',    'down type T replace 5400000003' ],
	[ 'a length that is too large',    'down type T replace 547fffffff' ],
	[ 'a message twice: 1',            'down type 1 2 duplicate' ],
	[ 'a message twice: t',            'down type t duplicate' ],
	[ 'a message twice: T',            'down type T duplicate' ],
	[ 'a message twice: 2',            'down type 2 2 duplicate' ],
	[ 'a message twice: C',            'down type C 2 duplicate' ],
	[ 'a message left out: 1',         'down type 1 drop' ],
	[ 'a message left out: T',         'down type T drop' ],
	[ 'a message left out: 2',         'down type 2 drop' ],
	[ 'a message left out: C',         'down type C drop' ],
	[ 'an early ReadyForQuery',        'down type T insert ' . message('Z', 'I') ],
	[ 'a ReadyForQuery of no status',  'down type Z replace ' . message('Z', 'X') ],
	[ 'COPY out of nowhere',           'down type T insert ' . message('H', "\0\0\0") ],
	[ 'a row of too few columns',      'down type D replace ' . message('D', "\0\0") ],
	[ 'a row that ends early',         'down type D replace ' . message('D', "\0\1\0\0\0\x09ab") ],
	[ 'a row with a negative length',  'down type D replace ' . message('D', "\0\1\xff\xff\xff\xf0") ],
	[ 'an error without an end',       'down type T replace ' . message('E', "SERROR\0Mx") ])
{
	my ($what, $rule) = @$damage;
	my $id = $proxy->rule($rule);
	my $result = call();
	is($proxy->fired($id), 1, "$what: sent");
	like($result, qr/^(?:08P01|0A000|08006)$/, "$what: a clean error");
	$proxy->clear;
	works("$what: the next call works");
}
{
	my $before = $local->safe_psql('postgres', $pid);
	$proxy->rule('down type Z duplicate');
	works('a second ReadyForQuery behind the answer changes no answer');
	$proxy->clear;
	isnt($local->safe_psql('postgres', $pid), $before, 'but ends the connection');
}
at_rest('after damage');

# --- slices
my $mixed = q{
	SET client_min_messages = notice;
	SELECT md5(string_agg(x, '')) FROM pool_config.query('crm', 'select repeat(md5(g::text), g % 7) from generate_series(1, 40) g') AS t(x text);
	SELECT pool_config.exec('crm', 'do $$ begin raise notice ''a notice''; end $$');
	SELECT pool_config.exec('crm', 'select 1/0');
	SELECT * FROM pool_config.query('crm', 'select 42, null::text, 1.5::float8') AS t(a int, b text, c float8);};
my ($rc, $expected, $expected_err) = $local->psql('postgres', $mixed, on_error_stop => 0);
like($expected_err, qr/a notice.*division by zero/s, 'a mixture of answers');
for my $n (1, 2, 3, 5, 7)
{
	$proxy->tell('cut', 'fin');
	$proxy->tell('slice', "both $n");
	my ($rc, $out, $err) = $local->psql('postgres', $mixed, on_error_stop => 0);
	is($out, $expected, "in slices of $n, the login too, the same answers");
	is($err, $expected_err, "in slices of $n the same errors");
	$proxy->clear;
}
at_rest('after slices');

# --- silence: who called is back by his own limit, or when told; the rules
# meet the caller's statement, but neither a ping nor a reset of the worker's
my %silence = (
	'the reply is held back'     => sub { $proxy->rule('down type T hold') },
	'half of a message comes'    => sub { $proxy->rule('down type D hold 7') },
	'the replies are swallowed'  => sub { $proxy->rule('down type T swallow') },
	'the statement never arrives' => sub { $proxy->rule('up match 4711 swallow') },
	'cancel requests hang, too'  => sub { $proxy->rule('down type T hold'); $proxy->tell('cancels', 'hang') },
);
for my $silence (sort keys %silence)
{
	for my $way ('statement_timeout', 'pg_cancel_backend', 'pg_terminate_backend', 'the client is killed')
	{
		works("before $silence, $way");
		$silence{$silence}->();
		my $run = start_psql($local, "\\set VERBOSITY verbose\n"
			  . ($way eq 'statement_timeout' ? "SET statement_timeout = '300ms';" : '')
			  . q{SELECT * FROM pool_config.query('crm', 'select 4711') AS t(a int)});
		my $backend;
		poll_until('a session waits for its answer', sub {
			$backend = $local->safe_psql('postgres', q{SELECT max(leased_by) FROM pool_config.connections});
		}) unless $way eq 'statement_timeout';
		my $start = time;
		if ($way eq 'the client is killed')
		{
			$run->{harness}->kill_kill(grace => 0);
		}
		elsif ($way =~ /^pg_/)
		{
			$local->safe_psql('postgres', "SELECT $way($backend)");
		}
		finish_psql($run) unless $way =~ /client/;
		poll_until("$silence, $way: the session lets go", sub {
			$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.connections WHERE leased_by IS NOT NULL}) == 0;
		});
		cmp_ok(time - $start, '<', 1.5, "$silence, $way: in time");
		like($run->{err}, $way =~ /terminate/ ? qr/FATAL:  57P01/ : qr/ERROR:  57014/, "$silence, $way: the right error")
		  unless $way =~ /client/;
		is($run->{out}, '', "$silence, $way: no answer");
		$proxy->clear;
		at_rest("$silence, $way");
	}
}

# --- a client that is gone ends its remote statement
# also while requests to cancel hang, more of them than there may be at once
for (1 .. 18)
{
	$proxy->rule('down type T hold');
	$proxy->tell('cancels', 'hang');
	$local->psql('postgres', q{SET statement_timeout = '100ms'; SELECT pool_config.exec('crm', 'select 1')});
	$proxy->clear;
}
works('before the client is killed');
my $run = start_psql($local, q{SELECT pool_config.exec('crm', 'select pg_sleep(61)')});
poll_until('a remote statement runs', sub { remote_sessions($remote, q{state = 'active' AND query LIKE '%pg_sleep(61)%'}) == 1 });
$run->{harness}->kill_kill(grace => 0);
poll_until('and is stopped after its client was killed', sub { remote_sessions($remote, q{state = 'active' AND query LIKE '%pg_sleep(61)%'}) == 0 }, 1.5);
at_rest('after a killed client');

# --- time limits of the local session
$local->safe_psql('postgres', q{
	CREATE TABLE locked (a int);
	CREATE FUNCTION waits(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN LOCK TABLE locked; RETURN true; END';
	CREATE DOMAIN waiting AS text CHECK (waits(VALUE))});
my $locker = start_psql($local, q{BEGIN; LOCK TABLE locked; SELECT pg_sleep(60)});
poll_until('a table is locked', sub { $local->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE relation = 'locked'::regclass AND granted}) == 1 });
fails_with($local, q{SET lock_timeout = '200ms'; SELECT * FROM pool_config.query('crm', 'select ''x''') AS t(a waiting);},
	'55P03', 'lock timeout', 'lock_timeout in the midst of an answer');
at_rest('after lock_timeout');
works('and the next call works');
$locker->{harness}->kill_kill(grace => 0);
for my $limit ('idle_in_transaction_session_timeout', 'idle_session_timeout')
{
	my $begin = $limit =~ /transaction/ ? 'BEGIN;' : '';
	my $run = start_psql($local, "\\set VERBOSITY verbose\nSET $limit = '200ms'; $begin\nSELECT pool_config.exec('crm', 'select 1');\n\\! sleep 0.6\nSELECT 1;");
	finish_psql($run);
	like($run->{err}, qr/FATAL:  (?:25P03|57P05)/, "$limit behind a call ends the session");
	at_rest("after $limit");
	works('and the next call works');
}

# --- one round trip, also where somebody else takes over
my ($steady, $handover);
for (1 .. 20)
{
	works('somebody uses the connection');
	$proxy->tell('forget');
	$proxy->tell('transcript', 'on');
	my ($rc, $out) = $local->psql('postgres', q{SELECT * FROM pool_config.query('crm', 'select 1') AS t(a int)});
	$handover = $proxy->count;
	$transcript = $proxy->transcript;
	last if $transcript =~ /^up:P up:B up:E up:P up:D up:B up:E up:S down/;
}
like($transcript, qr/^up:P up:B up:E up:P up:D up:B up:E up:S down/, 'at a handover the reset and the statement go out together');
is($handover->{trips}, 1, 'that is one round trip');
$proxy->tell('delay', 'both 10');
$run = start_psql($local, q{
	SELECT count(*) FROM pool_config.query('crm', 'select 1') AS t(a int);
	DO $$ BEGIN FOR i IN 1..20 LOOP PERFORM * FROM pool_config.query('crm', 'select 1') AS t(a int); END LOOP; END $$;
	SELECT 'done'});
my $before = $proxy->count;
my $start = time;
finish_psql($run);
my $took = time - $start;
like($run->{out}, qr/done/, 'calls over a slow network');
cmp_ok($took, '>=', 21 * 0.02, 'are not faster than it');
cmp_ok($took, '<', 21 * 0.02 + 1, "one round trip each ($took s for 21 of 20 ms)");
$proxy->clear;
at_rest('at the end');

# --- an end that the worker has not noticed, for it stands still
{
	make_target($local, $remote, 'two', port => $proxy->port, sslmode => 'disable', pool_size => 2);
	$local->safe_psql('postgres', 'CREATE ROLE alice; GRANT USAGE ON FOREIGN SERVER two TO alice');
	my $s = open_psql($local);
	my $mine = q{SELECT a FROM pool_config.query('two', 'select pg_backend_pid()') AS t(a int)};

	# the session has used both, this one last
	talk($s, q{SELECT pool_config.acquire('two')});
	my $pid = talk($s, $mine);
	talk($s, "SET ROLE alice; $mine; RESET ROLE; SELECT pool_config.release('two')");
	is(talk($s, $mine), $pid, 'the connection that was used last comes first');
	my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	kill 'STOP', $worker;
	my $rule = $proxy->rule('down type Z 1 cut fin all');
	is(talk($s, $mine), $pid, '... and ends behind its answer');
	poll_until('... at once', sub { $proxy->fired($rule) });
	$proxy->clear;
	like(talk($s, $mine), qr/^(?!$pid$)\d+$/, 'the session sees that, and takes the other');
	kill 'CONT', $worker;
	close_psql($s);
}

# --- a remote that takes requests to cancel and says nothing
{
	make_target($local, $remote, 'mute', port => $proxy->port, sslmode => 'disable', pool_size => 20);
	make_target($local, $remote, 'good');
	my $sleep = q{select pg_sleep(60)};
	my @runs = map { start_psql($local, "SELECT pool_config.exec('mute', '$sleep')") } 1 .. 20;
	my $good = start_psql($local, "SELECT pool_config.exec('good', '$sleep -- good')");
	poll_until('all run', sub { remote_sessions($remote, "query LIKE '$sleep%' AND state = 'active'") == 21 });
	$proxy->tell('cancels', 'hang');
	$proxy->tell('forget');
	my $stop = q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%%pool_config.exec(''%s'', ''select pg_sleep%%'};
	$local->safe_psql('postgres', sprintf($stop, 'mute'));
	finish_psql($_) for @runs;
	$local->safe_psql('postgres', sprintf($stop, 'good'));
	finish_psql($good);
	poll_until('what runs elsewhere is stopped', sub { remote_sessions($remote, "query LIKE '$sleep -- good%' AND state = 'active'") == 0 });
	cmp_ok($proxy->count->{cancels}, '<=', 16, 'while requests to that remote still wait for their turn');
	$proxy->clear;
	poll_until('and have it', sub { remote_sessions($remote, "query LIKE '$sleep%' AND state = 'active'") == 0 });
	at_rest('in the end');
}
sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost in all this');

done_testing();
