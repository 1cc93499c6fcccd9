# A login that costs: many SCRAM iterations, notices without end, a byte now
# and then; in plain text and under TLS.  The worker refuses in time, keeps
# little of it, and serves others meanwhile.
use strict;
use warnings;
use HostileServer;
use MIME::Base64;
use PoolConfig;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

# SCRAM-SHA-256 up to the message with the number of iterations.
sub scram
{
	my ($c, $iterations) = @_;

	$c->say('R', pack('N', 10) . "SCRAM-SHA-256\0\0");
	my ($type, $len) = unpack 'a N', $c->read(5);
	my ($nonce) = $c->read($len - 4) =~ /r=([^,]*)/;
	my $first = "r=${nonce}server,s=" . encode_base64('salt' x 4, '') . ",i=$iterations";
	$c->say('R', pack('N', 11) . $first);
	$c->read(1);
}

my %logins = (
	'five million iterations' => [ sub { scram($_[0], 5_000_000) }, 'SCRAM iterations' ],
	'two billion iterations'  => [ sub { scram($_[0], 2147483647) }, 'SCRAM iterations' ],
	'iterations in pieces'    => [ sub {
		my ($c) = @_;
		my $socket = $c->{socket};
		$c->say('R', pack('N', 10) . "SCRAM-SHA-256\0\0");
		my ($type, $len) = unpack 'a N', $c->read(5);
		my ($nonce) = $c->read($len - 4) =~ /r=([^,]*)/;
		my $body = pack('N', 11) . "r=${nonce}server,s=" . encode_base64('salt' x 4, '') . ',i=9999999';
		for my $byte (split //, 'R' . pack('N', 4 + length $body) . $body)
		{
			$c->raw($byte);
			select undef, undef, undef, 0.005;
		}
		$c->read(1);
	}, 'SCRAM iterations' ],
	'a notice of 300 MB'      => [ sub {
		my ($c) = @_;
		$c->say('R', pack 'N', 0);
		$c->raw('N' . pack('N', 300_000_000));
		$c->raw('x' x 1_000_000) for 1 .. 300;
	}, 'over-long message' ],
	'300 MB of notices'       => [ sub {
		my ($c) = @_;
		$c->say('R', pack 'N', 0);
		$c->say('N', "SNOTICE\0C00000\0M" . ('x' x 50_000) . "\0\0") for 1 .. 6000;
	}, 'too much' ],
	'parameters without end'  => [ sub {
		my ($c) = @_;
		$c->say('R', pack 'N', 0);
		$c->flood(HostileServer::Connection::message('S', "name\0value\0") x 1000);
	}, 'too much' ],
	'a byte now and then'     => [ sub {
		my ($c) = @_;
		for my $byte (split //, 'R' . pack('NN', 8, 0) . ('S' . pack('N', 16) . "name\0value\0\0") x 100)
		{
			$c->raw($byte);
			select undef, undef, undef, 0.3;
		}
	}, 'connect_timeout' ],
);
my $n = 0;
my %behaviour = map { 'b' . $n++ => $_ } sort keys %logins;
my $hostile = HostileServer->new(map { my $b = $_; $b => $logins{ $behaviour{$b} }[0] } keys %behaviour);

my $remote = start_remote('remote');
my $local  = start_local('local');
$local->safe_psql('postgres', 'CREATE ROLE ordinary; GRANT USAGE ON SCHEMA pool_config TO ordinary');
make_target($local, $remote, 'good');

# TLS in front of the hostile one
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($tls, $tls_port) = start_tls_server($dir, $hostile->port);

sub peak
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m ? $1 : -1;
}

my $worker = $local->safe_psql('postgres', q{SELECT pool_config.exec('good', 'select 1'); SELECT pid FROM pool_config.workers}) =~ s/.*\n//r;
my $before = peak($worker);
for my $transport ('plain', 'tls')
{
	for my $b (sort keys %behaviour)
	{
		my $what = "$behaviour{$b} ($transport)";
		my $target = "$transport$b";

		$local->safe_psql('postgres', sprintf(
				q{SELECT pool_config.create_target('%s', 'postgresql://app:app-secret@127.0.0.1:%d/%s?sslmode=%s', connect_timeout => 2);
				GRANT USAGE ON FOREIGN SERVER %s TO ordinary},
				$target, $transport eq 'tls' ? $tls_port : $hostile->port, $b, $transport eq 'tls' ? 'require' : 'disable', $target));
		my $start = time;
		my $run = start_psql($local, "\\set VERBOSITY verbose\nSET ROLE ordinary; SELECT pool_config.exec('$target', 'select 1');");
		is($local->safe_psql('postgres', q{SELECT pool_config.exec('good', 'select 1')}), 'SELECT 1', "$what: others are served");
		finish_psql($run);
		like($run->{err}, qr/ERROR:  08001: could not connect.*\nDETAIL:  [^\n]*$logins{$behaviour{$b}}[1]/, "$what is refused");
		cmp_ok(time - $start, '<', 8, "$what: in time");
	}
}
is($local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers'), $worker, 'the worker lives');
cmp_ok(peak($worker) - $before, '<', 8192, 'and has kept little of it (kB: ' . (peak($worker) - $before) . ')');
my $stall = $local->safe_psql('postgres', 'SELECT stall_max FROM pool_config.workers');
cmp_ok($stall, '<', 1000, "nor was it ever busy for a second (ms: $stall)");

# --- init_sql that does not end: neither at a login nor at a reset is it left running
{
	my $waits = sub { $remote->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) };
	my $lock = open_psql($remote);
	make_target($local, $remote, 'hung', connect_timeout => 1, pool_timeout => 2,
		settings => q{'{"init_sql": "SELECT pg_advisory_xact_lock_shared(1)", "pool_reset": "always"}'});
	talk($lock, 'SELECT pg_advisory_lock(1)');
	fails_with($local, q{SELECT pool_config.exec('hung', 'select 1');}, '08001', 'within connect_timeout', 'init_sql that does not end is a failed connect');
	sql_ok($local, q{SELECT pool_config.pause('hung', 0)}, 't', 'nobody connects again');
	poll_until('what was left waits no more', sub { $waits->() == 0 }, 10);
	talk($lock, 'SELECT pg_advisory_unlock(1)');
	sql_ok($local, q{SELECT pool_config.resume('hung'); SELECT pool_config.recycle('hung'); SELECT pool_config.exec('hung', 'select 1')}, "\n0\nSELECT 1", 'when it ends, all is well');
	talk($lock, 'SELECT pg_advisory_lock(1)');
	poll_until('the worker resets the connection, and waits', sub { $waits->() == 1 });
	poll_until('and not for ever', sub { $waits->() == 0 }, 20);
	close_psql($lock);
}

# --- shutdown in the midst of it
my ($drip) = grep { $behaviour{$_} eq 'a byte now and then' } keys %behaviour;
$local->safe_psql('postgres', qq{SELECT pool_config.alter_target('plain$drip', connect_timeout => 60)});
my $hung = start_psql($local, "SELECT pool_config.exec('plain$drip', 'select 1');");
poll_until('a login drips', sub { $local->safe_psql('postgres', qq{SELECT connecting FROM pool_config.pools WHERE target = 'plain$drip'}) =~ /1/ });
my $start = time;
$local->stop('fast');
cmp_ok(time - $start, '<', 5, 'fast shutdown is not held up');
finish_psql($hung);
$tls->kill_kill;

done_testing();
