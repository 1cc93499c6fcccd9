# Network rig (test/lib/network.sh), where root may make one.
#
# Packets that are lost without a word, each way: in a network of its own, and
# in a proxy that reads and throws away.  Who calls is back in time, statements
# are not run twice, others are served, and all is well when the network is.
use strict;
use warnings;
use FaultProxy;
use NetworkRig;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $local = start_local('local');
my $near  = start_remote('near');
make_target($local, $near, 'near');
my $count = q{CREATE TABLE counted (token text); GRANT ALL ON counted TO app; CREATE FUNCTION act(token text, seconds float8) RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO counted VALUES (token); PERFORM pg_sleep(seconds); RETURN token; END $$};
my $proxy = FaultProxy->new($near->port);
$near->safe_psql('postgres', $count);

# What each means of loss has: an address, the server behind it, and how.
my @means = ({
	name => 'proxy', node => $near, host => '127.0.0.1', port => $proxy->port,
	lose => sub { $proxy->tell('swallow', "$_[0] on") }, clear => sub { $proxy->clear },
	# connections of before stay without what was swallowed
	refuse => sub { $proxy->tell('mode', 'refuse'); $proxy->tell('cut', 'rst') } });

my $rig = NetworkRig->new;
if ($rig)
{
	my $far = PostgreSQL::Test::Cluster->new('far', own_host => 0);
	$far->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
	$far->append_conf('postgresql.conf', "listen_addresses = '" . NetworkRig::remote . "'\nfsync = off");
	unlink $far->data_dir . '/pg_hba.conf';
	$far->append_conf('pg_hba.conf', "local all all trust\nhost all all " . NetworkRig::local . "/32 scram-sha-256");
	$rig->command('start ' . $far->data_dir);
	$far->safe_psql('postgres', "CREATE ROLE app LOGIN PASSWORD 'app-secret'; GRANT ALL ON SCHEMA public TO app; $count");
	push @means, {
		name => 'network', node => $far, host => NetworkRig::remote, port => $far->port,
		lose => sub { $rig->command("lose $_[0]") }, clear => sub { $rig->command('clear') },
		refuse => sub { $rig->command('unreachable') } };
}

my $token = 0;

# A call within a limit in ms: "right" or the SQLSTATE, with its token.
sub start_call
{
	my ($limit, $seconds, $settings) = @_;
	my $mine = 'token' . ++$token;
	my $run = start_psql($local, "\\set VERBOSITY verbose\nSET statement_timeout = $limit; " . ($settings // '')
		  . sprintf(q{SELECT * FROM pool_config.query('far', 'select act($1, $2)', '%s', %f::float8) AS t(x text);}, $mine, $seconds // 0));

	@$run{qw(token started)} = ($mine, time);
	return $run;
}

sub outcome
{
	my ($run) = @_;

	finish_psql($run);
	$run->{took} = time - $run->{started};
	return $run->{out} eq "$run->{token}\n" ? 'right' : $run->{out} ne '' ? "wrong: $run->{out}" : $run->{err} =~ /ERROR:  (\w{5}):/ ? $1 : "? $run->{err}";
}

sub at_rest
{
	return poll_until("$_[0]: nothing is leased", sub {
		$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.pools WHERE in_use + connecting + waiting > 0}) == 0;
	});
}

for my $means (@means)
{
	my ($name, $node) = @$means{qw(name node)};
	my $done = sub { $node->safe_psql('postgres', "SELECT count(*) FROM counted WHERE token = '$_[0]{token}'") };
	my $runs = sub { $node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE relation = 'counted'::regclass AND mode = 'RowExclusiveLock'}) > 0 };

	$local->safe_psql('postgres', sprintf(q{SELECT pool_config.create_target('far', 'postgresql://app:app-secret@%s:%d/postgres?sslmode=disable',
		pool_size => 2, connect_timeout => 1, replace => true)}, $means->{host}, $means->{port}));
	is(outcome(start_call(10_000)), 'right', "$name: a call");

	# at rest: found out by asking, and within the caller's time
	for my $way ('up', 'down', 'both')
	{
		sleep 0.6;    # so long that a connection is asked whether it lives
		$means->{lose}->($way);
		my $run = start_call(2500);
		like(outcome($run), qr/^(?:57014|08001)$/, "$name, $way, at rest: a clean failure");
		cmp_ok($run->{took}, '<', 3.5, '... in time');
		is($done->($run), 0, '... and not run');
		$means->{clear}->();
		poll_until("$name, $way, at rest: then all is well", sub { outcome(start_call(10_000)) eq 'right' }, 5);
		at_rest("$name, $way, at rest");
	}

	# in the midst of a statement: the caller's limit, a cancel, a new caller
	for my $way ('up', 'down', 'both')
	{
		my $run = start_call(1500, 0.5);
		poll_until("$name, $way: it runs", $runs);
		$means->{lose}->($way);
		my $what = outcome($run);
		like($what, $way eq 'up' ? qr/^(?:right|57014)$/ : qr/^57014$/, "$name, $way, running: $what");
		cmp_ok($run->{took}, '<', 2.5, '... in time');
		my $cancelled = start_call(60_000);
		poll_until("$name, $way: another waits", sub { $local->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%$cancelled->{token}%' AND wait_event_type IS NOT NULL AND pid <> pg_backend_pid()") == 1 });
		my $start = time;
		$local->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%$cancelled->{token}%' AND pid <> pg_backend_pid()");
		like(outcome($cancelled), qr/^(?:57014|08001)$/, "$name, $way: a cancel works");
		cmp_ok(time - $start, '<', 1, '... at once');

		# nobody else feels it
		$start = time;
		sql_ok($local, q{SELECT count(*) FROM generate_series(1, 50) g, LATERAL pool_config.query('near', 'select $1', g) AS t(a int)}, '50', "$name, $way: others are served");
		cmp_ok(time - $start, '<', 2, '... as ever');
		$means->{clear}->();
		poll_until("$name, $way: all is well again", sub { outcome(start_call(10_000)) eq 'right' }, 10);
		cmp_ok($done->($run), '<=', 1, "$name, $way: nothing was run twice");
		is($done->($run), 1, '... nor left out, where only the answer was lost') if $way eq 'down';
		at_rest("$name, $way, running");
	}

	# no way to connect: silence has connect_timeout, a refusal comes at once
	$local->safe_psql('postgres', q{SELECT pool_config.disconnect('far')});
	$means->{lose}->('both');
	my $run = start_call(0, 0, q{SET pool_config.pool_timeout = 3;});
	is(outcome($run), '08001', "$name: a connect into silence");
	cmp_ok($run->{took}, '<', 4, '... ends with pool_timeout');
	like($run->{err}, qr/tim(?:ed out|eout)/, '... and says so');
	$means->{clear}->();
	poll_until("$name: then connects work", sub { outcome(start_call(10_000)) eq 'right' }, 10);
	$local->safe_psql('postgres', q{SELECT pool_config.disconnect('far')});
	$means->{refuse}->();
	$run = start_call(0, 0, q{SET pool_config.pool_timeout = 20;});
	is(outcome($run), '08001', "$name: a connect that is refused");
	cmp_ok($run->{took}, '<', 5, '... ends soon');
	$means->{clear}->();
	poll_until("$name: then connects work again", sub { outcome(start_call(10_000)) eq 'right' }, 10);

	# nobody's limit: the system's own, which the target sets; behind a proxy the end that it makes
	$local->safe_psql('postgres', q{ALTER SERVER far OPTIONS (ADD tcp_user_timeout '1500', ADD keepalives_idle '1', ADD keepalives_interval '1', ADD keepalives_count '2')});
	$run = start_call(0, 30);
	poll_until("$name: it runs without a limit", $runs);
	$means->{lose}->('both');
	$proxy->tell('cut', 'rst') if $name eq 'proxy';
	is(outcome($run), '08006', "$name: a connection that is lost ends a call without limits");
	cmp_ok($run->{took}, '<', 20, '... in bounded time');
	$means->{clear}->();
	poll_until("$name: the next call works", sub { outcome(start_call(10_000)) eq 'right' }, 10);

	# a stop does not wait for what does not answer
	$run = start_call(0, 30);
	poll_until("$name: it runs", $runs);
	$means->{lose}->('both');
	my $start = time;
	$local->stop('fast');
	cmp_ok(time - $start, '<', 4, "$name: a fast stop in silence");
	finish_psql($run);
	$means->{clear}->();
	$local->start;
	is(outcome(start_call(10_000)), 'right', "$name: calls after the start");
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'});
}
SKIP:
{
	skip 'a network of namespaces: ' . ($ENV{PCFG_NO_NETWORK} // 'make test as root makes one'), 1 unless $rig;
	pass('a network of namespaces was there');
}
sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost');
undef $rig;
done_testing();
