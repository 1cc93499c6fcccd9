# A library that meets the SQL objects of another version says so.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

# the script of an older version, of which some things were different
my ($share) = run_command([ 'pg_config', '--sharedir' ]);
my $dir = "$share/extension";
plan skip_all => "$dir cannot be written to" unless -w $dir;
my $now = slurp_file("$dir/pool_config--1.0.sql");
(my $old = $now) =~ s/OUT waiting int, OUT oldest_wait interval, OUT state text/OUT waiting int/ or die;
$old =~ s/OUT slots int, OUT slots_limit int,//                                                  or die;
$old =~ s/pause\(target text, wait float8 DEFAULT 60\)/pause(target text)/                       or die;
$old =~ s/pause\(text, float8\)/pause(text)/                                                     or die;
$old =~ s/target text, OUT step text, OUT ok boolean, OUT detail text/target text, OUT step text, OUT ok boolean/ or die;
append_to_file("$dir/pool_config--0.9.sql", $old);

my $local = start_local('local');
my $remote = start_remote('remote');
make_target($local, $remote, 'crm');
$local->safe_psql('postgres', 'DROP EXTENSION pool_config CASCADE');
$local->safe_psql('postgres', q{CREATE EXTENSION pool_config VERSION '0.9'});
make_target($local, $remote, 'crm');

is($local->safe_psql('postgres', q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', 'what is the same in both works');
for my $call (q{SELECT * FROM pool_config.pools}, q{SELECT * FROM pool_config.workers}, q{SELECT pool_config.pause('crm')},
	q{SELECT * FROM pool_config.check_target('crm')})
{
	my $err = fails_with($local, "$call;", '55000', 'is not as the loaded library knows it', "an old form: $call");
	like($err, qr/has version 0\.9, the library is made for 1\.0\..*HINT:  .*ALTER EXTENSION pool_config UPDATE/s, 'names both versions and what to do');
}
is($local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.connections}), '1', 'nobody was harmed');

append_to_file("$dir/pool_config--0.9--1.1.sql", q{CREATE FUNCTION pool_config.later() RETURNS int AS 'MODULE_PATHNAME', 'pcfg_sql_later' LANGUAGE C;});
fails_with($local, q{ALTER EXTENSION pool_config UPDATE TO '1.1';}, '42883', 'could not find function "pcfg_sql_later"', 'a library that is too old is named by the server');
unlink "$dir/pool_config--0.9.sql", "$dir/pool_config--0.9--1.1.sql";
done_testing();
