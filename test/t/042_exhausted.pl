# Both transports.
#
# What runs out on this side: pools, connections, descriptors of a session and
# of the worker.  Each is told by its name, nothing is lost by it, and what is
# free again is used.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $remote = start_remote('remote');
my $local  = start_local('local', 'pool_config.max_pools = 2', 'pool_config.max_connections = 3', "pool_config.pool_timeout = '500ms'");
make_target($local, $remote, $_, pool_size => 2, max_overflow => 0) for qw(one two three);

sub at_rest
{
	my ($what) = @_;
	poll_until("$what: nothing is leased", sub {
		$local->safe_psql('postgres', 'SELECT coalesce(sum(in_use + connecting + waiting), 0) FROM pool_config.pools') == 0;
	});
}
sub call { return "SELECT pool_config.exec('$_[0]', 'select 1')"; }

# --- pools and connections
{
	my $first  = open_psql($local);
	my $second = open_psql($local);

	talk($first, q{SELECT pool_config.acquire('one')});
	talk($second, q{SELECT pool_config.acquire('two')});
	fails_with($local, call('three') . ';', '53300', 'no pool is free for target "three".*All 2 pools.*max_pools', 'no pool is free, and what to raise');
	fails_with($local, q{SET statement_timeout = '200ms'; SET pool_config.pool_timeout = -1; } . call('three') . ';', '57014', '.', 'who waits for one can be cancelled');
	my $waits = start_psql($local, q{SET pool_config.pool_timeout = -1; } . call('three'));
	sql_ok($local, call('one'), 'SELECT 1', 'the others serve meanwhile');
	talk($first, q{SELECT pool_config.release('one')});
	finish_psql($waits);
	is($waits->{out}, "SELECT 1\n", 'a pool that nobody uses gives way to who waits');

	# only one of them, however often he asks before it is free
	my $busy = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	$local->safe_psql('postgres', call('three'));
	talk($second, q{SELECT pool_config.release('two')});
	talk($second, call('two'));
	my $open = q{SELECT count(*) FROM pool_config.pools WHERE idle > 0};
	sql_ok($local, $open, '2', 'two pools with connections');
	kill 'STOP', $busy;
	$waits = start_psql($local, q{SET pool_config.pool_timeout = -1; } . call('one'));
	sleep 0.5;
	sql_ok($local, $open, '1', 'one gives way to a third');
	kill 'CONT', $busy;
	is(finish_psql($waits)->{out}, "SELECT 1\n", 'and is enough');
	talk($second, q{SELECT pool_config.acquire('two')});

	talk($first, q{SELECT pool_config.acquire('three')});
	my $third = open_psql($local);
	talk($third, q{SELECT pool_config.acquire('two')});
	fails_with($local, call('three') . ';', '53300', 'max_connections', 'no connection is left for all targets together, and what to raise');
	talk($third, q{SELECT pool_config.release('two')});
	sql_ok($local, call('three'), 'SELECT 1', 'an idle one of another target gives way');
	close_psql($_) for $first, $second, $third;
	at_rest('after pools and connections ran out');
}

# --- descriptors

# So many numbers are left below the limit.
sub leave_free
{
	my ($pid, $n) = @_;
	my %used = map { s{.*/}{}r => 1 } glob("/proc/$pid/fd/*");
	my $limit = 0;

	for (my $free = 0; $free < $n || $used{$limit}; $limit++) { $free++ if !$used{$limit}; }
	system_or_bail('prlimit', '--pid', $pid, "--nofile=$limit:");
	return;
}
sub give_back
{
	my ($pid) = @_;
	my ($hard) = slurp_file("/proc/$pid/limits") =~ /^Max open files\s+\d+\s+(\d+)/m;

	system_or_bail('prlimit', '--pid', $pid, "--nofile=$hard:");
	return;
}

my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
sub cpu
{
	my @stat = split ' ', slurp_file("/proc/$worker/stat");
	return $stat[13] + $stat[14];
}

# how often there were enough: not with none, and not with all of them
my %served;

# a session
for my $n (0 .. 8)
{
	my $s = open_psql($local);
	my $pid = talk($s, 'SELECT pg_backend_pid()');

	leave_free($pid, $n);
	my $start = time;
	my $told = talk($s, call('one'));
	like($told, qr/^SELECT 1$|ERROR:  53000:|ERROR:  \w{5}: .*Too many open files/s, "a session with $n descriptors left is served, or told why not");
	$served{session} += $told eq 'SELECT 1';
	cmp_ok(time - $start, '<', 5, 'in time');
	give_back($pid);
	is(talk($s, call('one')), 'SELECT 1', 'and served when they are back');
	close_psql($s);
	at_rest("$n descriptors left to a session");
}

# the worker
for my $n (0 .. 8)
{
	$local->safe_psql('postgres', q{SELECT pool_config.disconnect(t) FROM unnest('{one,two,three}'::text[]) t});
	poll_until('nothing is open', sub { $local->safe_psql('postgres', 'SELECT coalesce(sum(open), 0) FROM pool_config.pools') == 0 });
	my $s = open_psql($local);
	is(talk($s, call('one')), 'SELECT 1', 'a session that the worker knows');
	leave_free($worker, $n);
	my ($ticks, $start) = (cpu(), time);
	my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\n" . call('two'));
	like("$out$err", qr/^SELECT 1$|ERROR:  (?:08001|53300|53000|57P03|55000):/m, "with $n descriptors left to the worker a call is served, or told why not");
	$served{worker} += $out eq 'SELECT 1';
	cmp_ok(time - $start, '<', 5, 'in time');
	is(talk($s, call('one')), 'SELECT 1', 'what is open serves on');
	sleep 0.5;
	cmp_ok(cpu() - $ticks, '<', 40, 'the worker does not spin');
	give_back($worker);
	poll_until('and it connects when they are back', sub { ($local->psql('postgres', call('two')))[0] == 0 }, 10);
	close_psql($s);
	at_rest("$n descriptors left to the worker");
}
ok($served{$_} > 0 && $served{$_} < 9, "too few and enough were left to the $_") for qw(session worker);
is($local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers'), $worker, 'the worker lives');
sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost');

done_testing();
