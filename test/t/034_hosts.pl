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

$standby->stop('immediate');
is(met(' target_session_attrs=prefer-standby', $standby, $primary), 'primary', 'without a standby, the primary');
fails_with($local, q{SELECT pool_config.create_target('x', 'host=h load_balance_hosts=often');}, '22023', 'value that is not possible',
	'another order is not known');
done_testing();
