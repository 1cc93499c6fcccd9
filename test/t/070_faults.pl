# Both transports.
# Side by side.
#
# Each fault in each phase of a call: who called gets the right answer, a clean
# failure, or is told that the outcome is not known; in time; nothing is done
# twice; the next call is right; nothing stays leased.
#
# Faults that need another stage are tried elsewhere: logins without an end in
# 009, remotes that lie in 008, TLS in 010, a load through a restart in 022,
# standbys in 034, ends of this server in 041, what runs out in 042, each step
# of ours in 050, transactions in 061, silence by the kernel in 071.
#
#	make faults [TABLE=file] [ONLY=expression]	all of them, or those that match
#		("fault, phase"), and the table; make test: a third, and a ninth of the
#		pairs
use strict;
use warnings;
use FaultProxy;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $all    = ($ENV{PCFG_FAULTS} // '') eq 'all';
my $only   = $ENV{ONLY} // '';
my $remote = start_remote('remote', 'restart_after_crash = on');
my $local  = start_local('local', 'restart_after_crash = on', 'client_connection_check_interval = 200ms', 'log_min_messages = warning');
my $proxy  = FaultProxy->new($remote->port);

# The limit that a caller sets, and how much later he may be back; in seconds.
my $limit = 1.5;
my $grace = 1;

$remote->safe_psql('postgres', q{
	CREATE TABLE ledger (token text);
	CREATE FUNCTION act(token text, ballast text, seconds float8, n int) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS $$
	BEGIN
		PERFORM pg_advisory_xact_lock(substr(token, 6)::int);	-- so that it can be seen
		INSERT INTO ledger VALUES (token);
		PERFORM pg_sleep(seconds);
		RETURN QUERY SELECT token || repeat('x', CASE WHEN n > 1 THEN 1000 ELSE 0 END) FROM generate_series(1, n);
	END $$});
make_target($local, $remote, 'crm', port => $proxy->port, pool_size => 1, max_overflow => 0, settings => q{'{"connect_timeout": 2}'});

# ----------------------------------------------------------------
# calls
# ----------------------------------------------------------------

my $token = 0;

# Starts a call that says how it went: which one, and its limit.
sub start_call
{
	my (%call) = @_;
	my $mine = 'token' . ++$token;
	my $n = $call{rows} // 1;
	my $run = start_psql($local, "\\set VERBOSITY verbose\nSET statement_timeout = '"
		  . 1000 * ($call{limit} // $limit) . "ms';\n"
		  . sprintf(q{SELECT count(*), min(left(x, %d)) FROM pool_config.query('crm', 'select act($1, $2, $3, $4)', '%s', repeat('b', %d), %f::float8, %d) AS t(x text);},
			length $mine, $mine, $call{ballast} // 0, $call{seconds} // 0, $n));
	@$run{qw(token started limit expected)} = ($mine, time, $call{limit} // $limit, "$n|$mine\n");
	return $run;
}

# "right", or the SQLSTATE; "late" with it if it was.
sub outcome
{
	my ($run) = @_;

	finish_psql($run);
	my $took = time - $run->{started};
	my $what = $run->{out} eq $run->{expected} ? 'right' : $run->{out} ne '' ? "wrong: $run->{out}"
		: $run->{err} =~ /(?:ERROR|FATAL|WARNING):  (\w{5}):/ ? $1 : $run->{killed} ? 'gone' : "? $run->{err}";
	return $took > $run->{limit} + $grace ? sprintf('%s, late: %.1f s', $what, $took) : $what;
}

sub sql   { return $local->safe_psql('postgres', $_[0]); }
sub pool  { return sql("SELECT coalesce(sum($_[0]), 0) FROM pool_config.pools WHERE target = 'crm' AND state <> 'retired'"); }

sub backends
{
	return split /\n/, $remote->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'pool_config' OR usename = 'app'});
}

sub runs_there
{
	my ($run) = @_;
	my ($number) = $run->{token} =~ /(\d+)/;
	return $remote->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $number") > 0;
}

sub worker { return sql('SELECT pid FROM pool_config.workers'); }

# ----------------------------------------------------------------
# phases: each leads to a call that is in it
# ----------------------------------------------------------------

# Starts a call, once the rule that stops it in its tracks is there.
sub start_held
{
	my ($rule, %call) = @_;
	my $id = $proxy->rule($rule);
	my $run = start_call(%call);

	poll_until("held: $rule", sub { $proxy->fired($id) }, 10);
	return $run;
}

sub start_running
{
	my $run = start_call(seconds => 1.2, limit => 3, @_);

	poll_until('it runs at the remote', sub { runs_there($run) }, 10);
	return $run;
}

sub drop_connections
{
	sql(q{SELECT pool_config.disconnect('crm')});
	poll_until('nothing is open', sub { pool('open + connecting') == 0 }, 10);
}

my @phases = (
	# so long that it is asked whether it lives
	[ 'idle', 'a connection lies idle; the call follows', sub { sleep 0.6; return } ],
	[ 'closing', 'the worker closed the connection, and the remote has not heard of it; the call follows', sub {
		my $id = $proxy->rule('up type ' . ($transport eq 'relay' ? 'tls' : 'X') . ' hold');
		sql(q{SELECT pool_config.recycle('crm')});
		poll_until('it is closed', sub { $proxy->fired($id) }, 10);
		return; } ],
	[ 'waiting', 'it waits for the connection that another call has', sub {
		my $holder = start_running(limit => 10);
		my $run = start_call();
		poll_until('it waits', sub { pool('waiting') == 1 }, 10);
		$run->{holder} = $holder;
		return $run; } ],
	[ 'connecting', 'the remote has not said a word', sub { drop_connections(); return start_held('down bytes 1 hold') } ],
	[ 'login', 'half of a login', sub { drop_connections(); return start_held('up type ' . ($transport eq 'relay' ? 'tls' : 'p') . ' hold') } ],
	[ 'sending', 'the statement is half sent', sub { return start_held('up bytes 100000 hold', ballast => 400_000) } ],
	[ 'running', 'the remote works', \&start_running ],
	[ 'reading', 'half of the result came', sub { return start_held('down bytes 100000 hold', rows => 12_000) } ],
	# the last records of an encrypted one: its ReadyForQuery shares a record with rows
	[ 'ending', 'all of the result came but its ReadyForQuery', sub {
		my %big = (rows => 12_000);
		return $transport eq 'relay' ? start_held('down bytes 12180000 hold', %big) : start_held('down type Z hold'); } ],
	[ 'resetting', 'the worker resets the connection that it waits for', sub {
		my $id = $proxy->rule('up match DISCARD hold');
		$id = $proxy->rule('up type tls hold') if $transport eq 'relay';
		poll_until('the reset is under way', sub { $proxy->fired($id) }, 10);
		return start_call(); } ],
	[ 'cancelling', 'the call before it was cancelled, and the request hangs', sub {
		$proxy->tell('cancels', 'hang');
		$proxy->rule('down bytes 1 hold');
		$local->psql('postgres', q{SET statement_timeout = '200ms'; SELECT pool_config.exec('crm', 'select 1')});
		# a request may take two seconds, and there is one connection only
		return start_call(limit => 4); } ]);

# ----------------------------------------------------------------
# faults: done, undone, and what may come of it
# ----------------------------------------------------------------

# What a call may end as, by phase; '*' stands for the others.
my %broken = (
	'*' => 'right', (map { $_ => 'right 08001' } qw(connecting login closing resetting)),
	(map { $_ => '08006' } qw(sending running reading ending)));
# what it sent before it ended arrives
my %ended = (%broken, ending => '08006 right');
my %silent = ('*' => '57014 08001', map { $_ => '57014' } qw(waiting sending running reading ending));
my %gone = (%broken, map { $_ => '08001' } qw(idle waiting connecting login closing resetting cancelling));
my %harmless = ('*' => 'right');
# A login is due where there is no connection that lives.
my %no_login = (%harmless, closing => '08001', map { $_ => 'right 08001' } qw(connecting login cancelling));

sub allowed
{
	my ($fault, $phase) = @_;
	return $fault->[3]{$phase} // $fault->[3]{'*'};
}

sub end_of_caller
{
	my ($sql) = @_;
	return sub {
		my ($run) = @_;
		my $him = "FROM pg_stat_activity WHERE query LIKE '%$run->{token}%' AND pid <> pg_backend_pid()";
		poll_until('he calls', sub { sql("SELECT count(*) $him") == 1 }, 10);
		sql("SELECT $sql(pid) $him");
		$run->{limit} = time - $run->{started};
	};
}

sub on_remote
{
	my ($sql) = @_;
	return sub { $remote->safe_psql('postgres', $sql) };
}

# What nothing but a change mends is tried once a minute, or when one says so.
sub tried_again
{
	my ($sql) = @_;
	return sub { $remote->safe_psql('postgres', $sql); sql(q{SELECT pool_config.recycle('crm')}) };
}

# The end of a worker without a word restarts the whole server.
sub kill_worker
{
	my ($run) = @_;
	my $pid = worker();

	kill 'KILL', $pid;
	poll_until('the server is back', sub {
		my ($rc, $now) = $local->psql('postgres', 'SELECT pid FROM pool_config.workers WHERE pid IS NOT NULL');
		return $rc == 0 && $now ne '' && $now ne $pid;
	});
	$run->{limit} = time - $run->{started} if $run;
}

my (@stopped, $stopped_worker);
my @faults = (
	[ 'F14 FIN', sub { $proxy->tell('cut', 'fin') }, undef, \%broken ],
	[ 'F13 RST', sub { $proxy->tell('cut', 'rst') }, undef, \%broken ],
	[ 'F40 garbage', sub { $proxy->tell('inject', 'down ' . 'ff' x 64) }, undef,
		{ %broken, sending => '08006 08P01', running => '08006 08P01', reading => '08006 08P01 22021', ending => '08006 08P01', connecting => 'right 08001 57014', login => 'right 08001 57014', closing => 'right 08001 57014', resetting => 'right 08001 57014' } ],
	[ 'F11 silence', sub { $proxy->tell('stall', 'both on') }, undef, \%silent ],
	[ 'F11 requests are lost', sub { $proxy->tell('swallow', 'up on') }, undef, { %silent, running => 'right', waiting => '57014 right' } ],
	[ 'F12 replies are lost', sub { $proxy->tell('swallow', 'down on') }, undef, \%silent ],
	[ 'F17 refused', sub { $proxy->tell('mode', 'refuse'); $proxy->tell('cut', 'rst') }, undef,
		\%gone ],
	[ 'F06 a slow network', sub { $proxy->tell('rate', 'both 40000000') }, undef, \%harmless ],
	# of a size that lets 12 MB pass within the limit; 007_network.pl has 1 to 7 bytes
	[ 'F15 slices', sub { $proxy->tell('slice', 'both 7000') }, undef, \%harmless ],
	[ 'F20 password changed', on_remote(q{ALTER ROLE app PASSWORD 'other'}), tried_again(q{ALTER ROLE app PASSWORD 'app-secret'}), \%no_login ],
	[ 'F21 remote full', on_remote('ALTER ROLE app CONNECTION LIMIT 0'), on_remote('ALTER ROLE app CONNECTION LIMIT -1'), \%no_login ],
	[ 'F23 database closed', on_remote('REVOKE CONNECT ON DATABASE postgres FROM PUBLIC'), tried_again('GRANT CONNECT ON DATABASE postgres TO PUBLIC'), \%no_login ],
	[ 'F24 terminated', on_remote(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'}), undef, \%ended ],
	[ 'F01 killed', sub { kill 'KILL', backends() }, sub { poll_until('the remote is back', sub { ($remote->psql('postgres', 'SELECT 1'))[0] == 0 }) },
		{ %ended, waiting => 'right 08001', closing => 'right 08001', idle => 'right 08001', cancelling => 'right 08001' } ],
	[ 'F02 restart', sub { $remote->restart }, undef, { %ended, waiting => 'right 08001', cancelling => 'right 08001' } ],
	[ 'F03 stopped', sub { $remote->stop('fast') }, sub { $remote->start }, { %gone, ending => '08006 right' } ],
	[ 'F04 backend stopped', sub { @stopped = backends(); kill 'STOP', @stopped }, sub { kill 'CONT', @stopped },
		{ %silent, idle => 'right', closing => 'right', cancelling => 'right', resetting => 'right 57014 08001' } ],
	[ 'F05 postmaster stopped', sub { kill 'STOP', $remote->{_pid} }, sub { kill 'CONT', $remote->{_pid} },
		{ %harmless, closing => '57014 08001', connecting => 'right 57014', login => 'right', cancelling => 'right 57014 08001' } ],
	[ 'F50 cancelled', end_of_caller('pg_cancel_backend'), undef, { '*' => '57014' } ],
	[ 'F51 session terminated', end_of_caller('pg_terminate_backend'), undef, { '*' => '57P01' } ],
	[ 'F51 client killed', sub { $_[0]{harness}->kill_kill(grace => 0); $_[0]{killed} = 1 }, undef, { '*' => 'gone' } ],
	[ 'F70 worker ended', sub { my $pid = worker(); kill 'TERM', $pid; poll_until('it has ended', sub { !kill 0, $pid }) }, undef, { %broken, waiting => 'right' } ],
	[ 'F71 worker killed', \&kill_worker, undef, { '*' => '57P02 08006', waiting => '57P02', idle => 'right', closing => 'right' } ],
	[ 'F73 worker stopped', sub { kill 'STOP', $stopped_worker = worker() }, sub { kill 'CONT', $stopped_worker },
		{ '*' => '57014', $transport eq 'direct' ? (sending => 'right', running => 'right', reading => 'right', ending => 'right') : () } ],
	[ 'F80 reload', sub { $local->append_conf('postgresql.conf', "pool_config.pool_timeout = '" . (20 + $token % 9) . "s'"); $local->reload }, undef, \%harmless ],
	[ 'F81 target altered', sub { sql(q{SELECT pool_config.alter_target('crm', connect_timeout => } . (2 + $token % 9) . ')') }, undef,
		{ %harmless, connecting => 'right 08001', login => 'right 08001' } ],
	[ 'recycled', sub { sql(q{SELECT pool_config.recycle('crm')}) }, undef, \%harmless ],
	[ 'disconnected', sub { sql(q{SELECT pool_config.disconnect('crm')}) }, undef, \%broken ],
	[ 'paused', sub { sql(q{SELECT pool_config.pause('crm', 0)}) }, sub { sql(q{SELECT pool_config.resume('crm')}) },
		{ '*' => '57014', sending => 'right', running => 'right', reading => 'right', ending => 'right' } ],
);

# Two at once: what either may come to, or the second one to a call that the
# first one let run.
my %fault = map { $_->[0] => $_ } @faults;
for my $pair (
	[ 'F11 silence', 'F70 worker ended' ], [ 'F50 cancelled', 'F12 replies are lost' ], [ 'F14 FIN', 'F70 worker ended' ],
	[ 'F51 session terminated', 'F13 RST' ], [ 'F73 worker stopped', 'F14 FIN' ], [ 'F73 worker stopped', 'F51 client killed' ],
	[ 'F02 restart', 'F70 worker ended' ], [ 'F04 backend stopped', 'F70 worker ended' ], [ 'F24 terminated', 'recycled' ],
	[ 'F11 silence', 'disconnected' ], [ 'F81 target altered', 'F01 killed' ], [ 'paused', 'F13 RST' ], [ 'F73 worker stopped', 'F02 restart' ])
{
	my ($one, $two) = map { $fault{$_} } @$pair;
	my %both = map {
		my $phase = $_->[0];
		($phase => join ' ', allowed($one, $phase), allowed($two, $phase), allowed($two, 'running'))
	} @phases;
	push @faults, [ join(' + ', @$pair), sub { $one->[1]->($_[0]); $two->[1]->($_[0]) },
		sub { $_->[2] && $_->[2]->() for $one, $two }, \%both ];
}

# Cells that make no sense.
my $nobody_calls = qr/F50 cancelled|F51 session terminated|F51 client killed/;
my $no_session = qr/F24 terminated|F01 killed|F04 backend stopped/;
my %void = (
	idle       => $nobody_calls,
	closing    => $nobody_calls,
	connecting => $no_session,
	login      => $no_session,
);

# Whether what a phase holds back goes on behind that fault.
sub goes_on
{
	my ($allowed) = @_;
	return $allowed !~ /^57|^gone/;
}

# The next call: right, or refused for no longer than a step of the back-off
# takes, behind a connect whose bytes were swallowed (connect_timeout: 2 s).
sub recovers
{
	my $until = time + 2 + 2;
	my $what;

	do { $what = outcome(start_call(limit => 10)) } while ($what =~ /^08001/ && time < $until);
	return $what;
}

# ----------------------------------------------------------------
# cells
# ----------------------------------------------------------------

my %seen;

sub restore
{
	my ($undo) = @_;

	$undo->() if $undo;
	$proxy->clear;
	poll_until('the worker is there', sub { sql('SELECT count(*) FROM pool_config.workers WHERE pid IS NOT NULL') == 1 }, 20);
}

sub run_cell
{
	my ($fault, $phase) = @_;
	my ($name, $do, $undo) = @$fault;
	my ($where, undef, $lead) = @$phase;
	my $allowed = allowed($fault, $where);
	my @wrong;

	my $first = outcome(start_call(limit => 10));
	push @wrong, "before: $first" unless $first eq 'right';
	my $run = $lead->();
	$do->($run);
	$proxy->tell('release') if goes_on($allowed);
	$run //= start_call();
	my $what = outcome($run);
	push @wrong, $what unless grep { $_ eq $what } split ' ', $allowed;
	restore($undo);
	finish_psql($run->{holder}) if $run->{holder};

	my $then = recovers();
	push @wrong, "the next call: $then" unless $then eq 'right';
	poll_until("$name, $where: nothing is leased", sub {
		sql(q{SELECT count(*) FROM pool_config.pools WHERE in_use + connecting + waiting > 0}) == 0;
	}, 20) or push @wrong, 'something stays leased';
	my $times = $remote->safe_psql('postgres', "SELECT count(*) FROM ledger WHERE token = '$run->{token}'");
	push @wrong, "done $times times" if $times > 1 || ($what eq 'right' && $times != 1) || ($what =~ /^(?:08001|53300)/ && $times != 0);
	is(join('; ', @wrong), '', "$name, $where: $what");
	$seen{$name}{$where} = @wrong ? "**$what**" : $what;
}

my $n = 0;
for my $i (0 .. $#faults)
{
	for my $j (0 .. $#phases)
	{
		my ($fault, $phase) = ($faults[$i], $phases[$j]);
		if ($void{ $phase->[0] } && $fault->[0] =~ $void{ $phase->[0] }) { $seen{ $fault->[0] }{ $phase->[0] } = '-'; next; }
		next unless "$fault->[0], $phase->[0]" =~ /$only/;
		next unless $all || ($i + $j) % ($fault->[0] =~ /\+/ ? 9 : 3) == ($transport eq 'relay');
		run_cell($fault, $phase);
	}
}
sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost');

# The table, for who reads it.
my @table = ("| $transport | " . join(' | ', map { $_->[0] } @phases) . ' |', '|---' x (1 + @phases) . '|');
for my $fault (@faults)
{
	push @table, "| $fault->[0] | " . join(' | ', map { $seen{ $fault->[0] }{ $_->[0] } // '' } @phases) . ' |';
}
note($_) for @table;
done_testing();
