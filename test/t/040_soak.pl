# The soak: many sessions call two remotes, over sockets of their own and
# through the relay, while everything is killed, stopped, cut and changed around
# them.  No answer may be another's, no effect lost or doubled, no wait endless.
#
# Test build: it keeps the last moves of each slot (shared/trace.h), which have
# to be legal, one after the other, and each its owner's.
#
# SOAK_SECONDS says how long (make soak SECONDS=...); the table of the end goes
# to the log, with the bound that follows from so many calls without a fault.
use strict;
use warnings;
use FaultProxy;
use PoolConfig;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $seconds  = $ENV{SOAK_SECONDS}  || 30;
my $sessions = $ENV{SOAK_SESSIONS} || 8;

my $folder  = PostgreSQL::Test::Utils::tempdir();
my $program = "$folder/soak";
my $source  = $INC{'PoolConfig.pm'} =~ s/PoolConfig\.pm$/soak.c/r;
system('cc', '-O1', '-o', $program, $source, '-I/usr/include/postgresql', '-lpq') == 0 or die 'soak.c was not built';

my $local = start_local('local', 'log_min_messages = warning', 'max_connections = 60');
my %remotes = map { $_ => start_remote($_, 'log_connections = off', 'log_disconnections = off') } 'one', 'two';
for my $name (keys %remotes)
{
	my $remote = $remotes{$name};
	make_certificates($remote->data_dir) unless $PoolConfig::transport eq 'relay';
	$remote->append_conf('postgresql.conf', 'ssl = on') unless $PoolConfig::transport eq 'relay';
	$remote->restart;
	$remote->safe_psql('postgres', qq{
		CREATE ROLE app1 LOGIN PASSWORD 'one-secret';
		CREATE ROLE app2 LOGIN PASSWORD 'two-secret';
		CREATE TABLE ledger (token text, pid int DEFAULT pg_backend_pid());
		GRANT INSERT ON ledger TO app1, app2;
		CREATE FUNCTION soak(asked text, kind text, len int, nrows int)
		RETURNS TABLE(token text, server text, who text, found text, n int, payload text) LANGUAGE plpgsql AS \$f\$
		DECLARE left_here text := coalesce(current_setting('soak.state', true), '');
		BEGIN
			IF kind LIKE '%w%' THEN INSERT INTO ledger VALUES (asked); END IF;
			IF kind LIKE '%n%' THEN RAISE NOTICE 'soak %', asked; END IF;
			IF kind LIKE '%s%' THEN PERFORM set_config('soak.state', asked, false); END IF;
			IF random() < 0.1 THEN PERFORM pg_sleep(random() * 0.02); END IF;
			IF kind LIKE '%e%' THEN RAISE EXCEPTION 'soak %', asked USING ERRCODE = 'P0042'; END IF;
			RETURN QUERY SELECT asked, '$name', session_user::text, left_here, g,
				left(repeat(asked, 1 + len / length(asked)), len) FROM generate_series(1, nrows) g;
		END \$f\$});
}
my $proxy = FaultProxy->new($remotes{two}->port);

my %servers = (direct1 => 'one', relay1 => 'one', direct2 => 'two', relay2 => 'two', faulty2 => 'two');
$local->safe_psql('postgres', q{CREATE ROLE u1; CREATE ROLE u2});
for my $target (sort keys %servers)
{
	make_target($local, $remotes{ $servers{$target} }, $target, user => 'app1', password => 'one-secret', pool_size => 2, max_overflow => 1,
		sslmode => $target =~ /relay/ ? 'require' : 'disable', $target =~ /faulty/ ? (port => $proxy->port) : ());
	$local->safe_psql('postgres', "GRANT USAGE ON FOREIGN SERVER $target TO u1, u2;
		CREATE USER MAPPING FOR u2 SERVER $target OPTIONS (user 'app2', password 'two-secret')");
}

# --- the callers
my $conninfo = $local->connstr('postgres') . " application_name=soak options='-c statement_timeout=5s -c pool_config.pool_timeout=4s'";
my $callers  = IPC::Run::start([ $program, $sessions, $seconds, $conninfo, $folder,
		map { ("$_=$servers{$_}") x ($_ =~ /faulty/ ? 1 : 3) } sort keys %servers ],
	IPC::Run::timeout($seconds + 120));

# --- and what befalls them
my %done;
my $app   = q{FROM pg_stat_activity WHERE usename IN ('app1', 'app2') ORDER BY random() LIMIT 1};
my $other = sub { $remotes{ rand 2 < 1 ? 'one' : 'two' } };
my $last_worker = 0;
my %killers = (
	'remote backend terminated' => sub { $other->()->psql('postgres', "SELECT pg_terminate_backend(pid) $app") },
	'remote backend stopped for a while' => sub {
		my ($rc, $pid) = $other->()->psql('postgres', "SELECT pid $app");
		die 'none' unless $pid =~ /^\d+$/;
		kill 'STOP', $pid;
		sleep rand 0.3;
		kill 'CONT', $pid;
	},
	'local session terminated' => sub {
		$local->psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'soak' ORDER BY random() LIMIT 1});
	},
	'connections reset' => sub { $proxy->tell('cut', 'rst') },
	'connections ended' => sub { $proxy->tell('cut', 'fin') },
	'cut in a message' => sub {
		my $rule = $proxy->rule((rand 2 < 1 ? 'up' : 'down') . ' message ' . int(1 + rand 40) . ' cut ' . (rand 2 < 1 ? 'rst ' : 'fin ') . int(rand 9));
		sleep rand 0.3;
		$proxy->clear;
	},
	'slices' => sub { $proxy->tell('slice', 'both ' . int(1 + rand 700)); sleep rand 0.3; $proxy->clear; },
	'delay'  => sub { $proxy->tell('delay', 'both ' . int(rand 15)); sleep rand 0.5; $proxy->clear; },
	'stall'  => sub { $proxy->tell('stall', 'both on'); sleep rand 0.3; $proxy->clear; },
	'replies swallowed' => sub { $proxy->tell('swallow', 'down on'); sleep rand 0.2; $proxy->tell('cut', 'rst'); $proxy->clear; },
	'target altered' => sub {
		my $target = (sort keys %servers)[ rand 5 ];
		$local->psql('postgres', "SELECT pool_config.alter_target('$target', pool_size => " . int(1 + rand 3) . ')');
	},
	'mapping altered' => sub {
		my $target = (sort keys %servers)[ rand 5 ];
		$local->psql('postgres', "ALTER USER MAPPING FOR u2 SERVER $target OPTIONS (SET password 'two-secret')");
	},
	'recycled' => sub { $local->psql('postgres', "SELECT pool_config.recycle('direct1')") },
	'reload'   => sub { $local->reload },
	'worker terminated' => sub {
		die 'not yet' if time - $last_worker < 4;
		$last_worker = time;
		kill 'TERM', $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	},
	'remote restarted' => sub {
		die 'not now' if $seconds < 60 || rand 20 > 1;
		$remotes{one}->restart;
	},
);
my $end = time + $seconds;
while (time < $end)
{
	my $what = (sort keys %killers)[ rand keys %killers ];
	eval { $killers{$what}->(); $done{$what}++; };
	sleep rand 0.3;
}
$proxy->clear;
ok($callers->finish, 'the callers came to their end');

# --- the reckoning
my (%figures, @wrong, @late, $cancel_p99);
for my $file (glob "$folder/figures.*")
{
	for (split /\n/, slurp_file($file))
	{
		if    (/^wrong (.*)/)        { push @wrong, $1; }
		elsif (/^late (.*)/)         { push @late, $1; }
		elsif (/^cancel_p99 (.*)/)   { $cancel_p99 = $1 if $1 > ($cancel_p99 // 0); }
		elsif (/^(\w+) (\d+)$/)      { $figures{$1} += $2; }
	}
}
my %ledger;
for my $remote (values %remotes)
{
	poll_until('no statement of a caller is left at a remote', sub {
		$remote->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE usename IN ('app1', 'app2') AND state = 'active'}) == 0;
	});
	for (split /\n/, $remote->safe_psql('postgres', 'SELECT token, count(*) FROM ledger GROUP BY 1'))
	{
		my ($token, $n) = split /\|/;
		$ledger{$token} += $n;
	}
}
my (%effects, @misdeeds);
for my $file (glob "$folder/calls.*")
{
	for (split /\n/, slurp_file($file))
	{
		my ($token, $outcome) = split / /;
		my $n = delete $ledger{$token} // 0;
		$effects{"$outcome, $n times executed"}++;
		push @misdeeds, "$token $outcome, executed $n times"
		  if $n > 1 || ($outcome eq 'done' && $n != 1) || ($outcome eq 'not' && $n != 0);
	}
}
diag("soak of $seconds s with $sessions sessions:");
diag("  $_ $figures{$_}") for qw(calls right failed unknown cancelled lost notices sessions);
diag("  ledger: $_: $effects{$_}") for sort keys %effects;
diag("  $_: $done{$_}") for sort keys %done;
diag("  a cancelled call returned within " . ($cancel_p99 // '?') . " ms (99 of 100, of the slowest session)");
diag(sprintf '  no fault in %d calls: fewer than %.1e of all, at 95 %%', $figures{calls}, 3 / $figures{calls}) if $figures{calls} && !@wrong;

is(join("\n", @wrong[ 0 .. ($#wrong > 9 ? 9 : $#wrong) ]), '', 'no answer, error, notice or state is another\'s');
is(join("\n", @misdeeds[ 0 .. ($#misdeeds > 9 ? 9 : $#misdeeds) ]), '', 'what is reported done is done once, what is reported not done is not');
is(join(' ', (keys %ledger)[ 0 .. (keys %ledger > 9 ? 9 : keys(%ledger) - 1) ]), '', 'nothing else is done');
is(join("\n", @late), '', 'nobody waited beyond his limit');
cmp_ok($figures{calls}, '>', 50 * $seconds, 'enough calls to mean something');
cmp_ok($figures{right}, '>', $figures{calls} / 4, 'many of them were answered');
cmp_ok($_ // 0, '>', 0, 'ways to fail were met') for $figures{cancelled}, $figures{unknown}, $effects{'not, 0 times executed'};
poll_until('nothing is leased, nobody waits', sub {
	$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.pools WHERE in_use + connecting + waiting > 0}) == 0;
});
for my $target (sort keys %servers)
{
	sql_ok($local, "SELECT server FROM pool_config.query('$target', 'select * from soak(''x'', '''', 1, 1)') AS t(token text, server text, who text, found text, n int, payload text)",
		$servers{$target}, "$target works afterwards");
}
sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost');

# the moves of the slots, from the worker's own end
{
	$local->stop('fast');
	my @states = qw(EMPTY CONNECTING IDLE LEASED CONDEMNED);
	my %movers = (WORKER => 1, HOLDER => 2, LOCK => 4);
	my %legal;
	my $table = slurp_file('src/shared/slot_moves.def');
	$legal{"$1 $2"} |= $movers{$3} while $table =~ /^MOVE\((\w+), (\w+), (\w+),/mg;
	my $split = sub {
		my ($word) = @_;
		return { state => $states[ $word >> 57 ], owner => $word >> 38 & (1 << 18) - 1, use => $word & (1 << 38) - 1 };
	};
	my (%moves, @faults);
	for (split /\n/, slurp_file($local->data_dir . '/slot_moves'))
	{
		my ($slot, $from, $to, $by, $mover) = split / /;
		push @{ $moves{$slot} }, { from => $split->($from), to => $split->($to), by => $by, mover => $mover };
	}
	my $n = 0;
	for my $slot (sort { $a <=> $b } keys %moves)
	{
		# an empty slot may be taken by another pool before its emptying is noted
		my @moves = sort { $a->{to}{use} <=> $b->{to}{use} } @{ $moves{$slot} };
		my $last;
		for my $m (@moves)
		{
			my ($from, $to) = @$m{qw(from to)};
			my $what = "slot $slot, use $to->{use}: $from->{state} (owner $from->{owner}) to $to->{state} ($to->{owner}) by $m->{by}";
			my $rises = "$from->{state} $to->{state}" =~ /^IDLE LEASED$|^EMPTY | EMPTY$/ ? 1 : 0;
			$n++;
			push @faults, "not legal: $what" unless ($legal{"$from->{state} $to->{state}"} // 0) & $m->{mover};
			push @faults, "not the owner: $what" if $m->{mover} == $movers{HOLDER} && $from->{owner} != $m->{by};
			push @faults, "a use that does not rise by $rises: $what" if $to->{use} != $from->{use} + $rises;
			push @faults, "nobody leases: $what" if ($to->{state} eq 'LEASED') != ($to->{owner} != 0);
			push @faults, "not what was left: $what"
			  if $last && "@$last{qw(state owner use)}" ne "@$from{qw(state owner use)}";
			$last = $to;
		}
	}
	is(join("\n", @faults[ 0 .. ($#faults > 9 ? 9 : $#faults) ]), '', "each of the last $n moves of slots was legal, its owner's, and from where the one before led");
	cmp_ok($n, '>', 1000, 'which were enough');
	$local->start;
}
unlike(slurp_file($local->logfile), qr/was terminated by signal|PANIC|TRAP/, 'nobody crashed');

done_testing();
