# Several hosts in one address: which of them is taken.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
my $local = start_local('local');
my $call  = q{SELECT * FROM pool_config.query('crm', 'select pg_is_in_recovery()') AS t(a bool)};

# Makes the target of these, in this order, and says which one is met.
sub met
{
	my ($options, @nodes) = @_;

	$local->safe_psql('postgres', sprintf(
			q{SELECT pool_config.create_target('crm', 'host=%s port=%s user=postgres dbname=postgres%s', replace => true, connect_timeout => 20)},
			join(',', map { $_->host } @nodes), join(',', map { $_->port } @nodes), $options));
	return $local->safe_psql('postgres', $call) eq 't' ? 'standby' : 'primary';
}

is(met('', $primary, $standby), 'primary', 'the first one');
is(met('', $standby, $primary), 'standby', 'whichever it is');
is(met(' target_session_attrs=primary', $standby, $primary), 'primary', 'the primary, listed last');
is(met(' target_session_attrs=standby', $primary, $standby), 'standby', 'a standby, listed last');
is(met(' target_session_attrs=prefer-standby', $primary, $standby), 'standby', 'a standby is preferred, though listed last');
is(met(' target_session_attrs=prefer-standby', $primary), 'primary', 'and one host is what there is');

my %count = (primary => 0, standby => 0);
for (1 .. 20)
{
	$count{ met(' load_balance_hosts=random', $primary, $standby) }++;
	$local->safe_psql('postgres', q{SELECT pool_config.disconnect('crm')});
}
ok($count{primary} > 0 && $count{standby} > 0, "either of two at random: $count{primary} and $count{standby} of 20");

# --- a standby that replays what its sessions stand in the way of
{
	$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = 0');
	$standby->reload;
	$primary->safe_psql('postgres', 'CREATE TABLE seen AS SELECT 1 AS a; CREATE DATABASE fleeting');
	$primary->wait_for_catchup($standby, 'replay');
	is(met('', $standby), 'standby', 'a standby alone');
	my $pid = q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(a int)};
	my $before = $local->safe_psql('postgres', $pid);
	my $run = start_psql($local, q{\set VERBOSITY verbose
		SELECT * FROM pool_config.query('crm', 'select a, pg_sleep(60)::text from seen') AS t(a int, b text)});
	poll_until('a call runs there', sub { $standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) == 1 });
	$primary->safe_psql('postgres', $_) for 'DELETE FROM seen', 'VACUUM seen';
	finish_psql($run);
	like($run->{err}, qr/ERROR:  40001: .*conflict with recovery/, 'what it needs is vacuumed: its own error');
	is($local->safe_psql('postgres', $pid), $before, 'and the connection serves on');

	$local->safe_psql('postgres', sprintf(q{SELECT pool_config.create_target('fleeting', 'host=%s port=%s user=postgres dbname=fleeting')}, $standby->host, $standby->port));
	$run = start_psql($local, q{\set VERBOSITY verbose
		SELECT pool_config.exec('fleeting', 'select pg_sleep(60)')});
	poll_until('a call runs there', sub { $standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) == 1 });
	$local->safe_psql('postgres', q{SELECT pool_config.exec('fleeting', 'select 1')});
	$primary->safe_psql('postgres', 'DROP DATABASE fleeting');
	finish_psql($run);
	like($run->{err}, qr/ERROR:  08006: .*conflict with recovery.*/s, 'its database is dropped: the connection is lost, and why');
	poll_until('and the idle one with it', sub { $local->safe_psql('postgres', q{SELECT coalesce(sum(open), 0) FROM pool_config.pools WHERE target = 'fleeting'}) == 0 });
	fails_with($local, q{SELECT pool_config.exec('fleeting', 'select 1');}, '08001', 'database "fleeting" does not exist', 'no call finds it again');
}

$standby->stop('immediate');
is(met(' target_session_attrs=prefer-standby', $standby, $primary), 'primary', 'without a standby, the primary');
fails_with($local, q{SELECT pool_config.create_target('x', 'host=h load_balance_hosts=often');}, '22023', 'value that is not possible',
	'another order is not known');
done_testing();
