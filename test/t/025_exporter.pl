# The queries for Debian's prometheus-postgres-exporter, with the real one.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use HTTP::Tiny;

my ($exporter) = grep { -x } qw(/usr/bin/prometheus-postgres-exporter /usr/bin/postgres_exporter);
plan skip_all => 'no postgres_exporter here' unless $exporter;

my $remote = start_remote('remote');
my $local  = start_local('local');
make_target($local, $remote, 'crm');
$local->safe_psql('postgres', q{
	CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
	SELECT pool_config.exec('crm', 'select 1');
	SELECT pool_config.exec('crm', 'select pg_sleep(0.2)');
	SELECT pool_config.recycle('crm')});
poll_until('a close is counted', sub { $local->safe_psql('postgres', 'SELECT closes FROM pool_config.stats') eq '1' });

my $port = PostgreSQL::Test::Cluster::get_free_port();
local $ENV{DATA_SOURCE_NAME} = $local->connstr('postgres') . ' user=monitor sslmode=disable';
$ENV{DATA_SOURCE_NAME} =~ s/'//g;
my ($out, $err) = ('', '');
my $run = IPC::Run::start(
	[ $exporter, '--extend.query-path=src/pool_config.prometheus.yaml', '--disable-default-metrics',
	  '--disable-settings-metrics', "--web.listen-address=127.0.0.1:$port" ],
	'<', '/dev/null', '>', \$out, '2>', \$err);
my $page = '';
poll_until('the exporter answers', sub {
	my $answer = HTTP::Tiny->new(timeout => 5)->get("http://127.0.0.1:$port/metrics");
	$page = $answer->{content} if $answer->{success};
	return $page =~ /pg_up 1/;
}, 20);
$run->kill_kill;

my %value = $page =~ /^(pool_config\w+(?:\{[^}]*\})?) (\S+)$/mg;
my %plain;
for my $name (keys %value) { 
	(my $short = $name) =~ s/server="[^"]*"//;
	$short =~ s/,,/,/;
	$short =~ s/\{,/{/;
	$short =~ s/,\}/}/;
	$short =~ s/\{\}//;
	$plain{$short} = $value{$name};
}
like($page, qr/^pg_exporter_last_scrape_error 0$/m, 'every query runs') or diag($err);
unlike($page, qr/^pg_exporter_user_queries_load_error\{[^}]*\} 1/m, 'the file is read') or diag($err);
my @expected = (
	'pool_config_pool_open_connections{mapping="public",target="crm"}' => 0,
	'pool_config_target_leases_total{target="crm"}' => 2,
	'pool_config_target_connects_total{target="crm"}' => 1,
	'pool_config_target_by_reason_closes_total{reason="recycle",target="crm"}' => 1,
	'pool_config_target_time_statement_seconds_count{target="crm"}' => 2,
	'pool_config_target_time_statement_seconds_bucket{target="crm",le="+Inf"}' => 2,
	'pool_config_target_time_connect_seconds_count{target="crm"}' => 1,
	'pool_config_worker_connections_limit' => 100,
	'pool_config_worker_rescued_total' => 0,
);
while (my ($name, $expected) = splice @expected, 0, 2)
{
	is($plain{$name}, $expected, $name) or diag(join "\n", sort keys %plain);
}
cmp_ok($plain{'pool_config_target_time_statement_seconds_bucket{target="crm",le="0.1"}'}, '<=', 1, 'what took longer is not in a lower bucket');
my ($sum) = map { $plain{$_} } grep { /statement_seconds_sum/ } keys %plain;
cmp_ok($sum, '>', 0.2, 'times are in seconds');
my %type = $page =~ /^# TYPE (pool_config\w+) (\w+)$/mg;
is(join(' ', grep { ($type{$_} eq 'counter') != /_total$/ } grep { $type{$_} ne 'histogram' } sort keys %type), '', 'counters, and they only, end in _total');
is(join(' ', grep { $_ !~ /^[a-z][a-z0-9_]*$/ } keys %type), '', 'names are in lower case');

done_testing();
