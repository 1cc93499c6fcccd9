# One table of settings: the SQL signatures, the view, the README and the GUCs
# say the same.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $local = start_local('local');
my @server_wide = qw(max_connections max_pools workers);
my @of_no_target = qw(log_connections);

# the GUCs are made from the table in C
my %guc = map { split /\|/, $_, 2 } split /\n/, $local->safe_psql('postgres', q{
	SELECT substr(name, 13), context FROM pg_settings WHERE name LIKE 'pool_config.%'});
my @settings = sort grep { my $n = $_; !grep { $_ eq $n } @server_wide, @of_no_target } keys %guc;
is(scalar(@settings), 17, 'settings of a target');
is_deeply([ sort grep { $guc{$_} eq 'postmaster' } keys %guc ], [ sort @server_wide ], 'server-wide settings need a restart');
is_deeply([ sort grep { $guc{$_} eq 'user' } keys %guc ], [ 'command_timeout', 'pool_timeout' ], 'two may be SET by any session');

# the view has a column for each
my @columns = split /\n/, $local->safe_psql('postgres', q{
	SELECT attname FROM pg_attribute WHERE attrelid = 'pool_config.targets'::regclass AND attnum > 0 ORDER BY attnum});
my %is_setting = map { $_ => 1 } @settings;
is_deeply([ sort grep { $is_setting{$_} } @columns ], \@settings, 'the view targets has a column for each setting');

# create_target and alter_target: arguments are settings, in the same order
my %arguments;
for my $function ('create_target', 'alter_target')
{
	my $text = $local->safe_psql('postgres',
		"SELECT array_to_string(proargnames, ' ') FROM pg_proc WHERE proname = '$function'");
	$arguments{$function} = $text;
	is_deeply([ grep { $is_setting{$_} } split / /, $text ],
		[qw(pool_size max_overflow pool_timeout pool_recycle pool_pre_ping connect_timeout)],
		"the arguments of $function that are settings");
}
is($arguments{create_target}, "$arguments{alter_target} replace", 'alter_target has the arguments of create_target');

# every setting is a server option, and shows in the view as it was given
for my $setting (@settings)
{
	my $type  = $local->safe_psql('postgres', "SELECT vartype FROM pg_settings WHERE name = 'pool_config.$setting'");
	my $value = $type eq 'bool' ? 'off' : $type eq 'integer' ? 7 : $type eq 'real' ? '7s'
	  : $setting eq 'pooler' ? 'session' : $setting eq 'pool_reset' ? 'always' : 'select 1';
	$local->safe_psql('postgres', qq{
		DROP SERVER IF EXISTS s;
		CREATE SERVER s FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h', $setting '$value')});
	is($local->safe_psql('postgres', "SELECT $setting || ' ' || (sources->>'$setting') FROM pool_config.targets"),
		"$value option", "$setting is an option of a server");
}

# a reload reaches a target at once
$local->safe_psql('postgres', q{DROP SERVER s; CREATE SERVER s FOREIGN DATA WRAPPER pool_config OPTIONS (host 'h')});
$local->append_conf('postgresql.conf', "pool_config.pool_size = 9\npool_config.pool_recycle = '2min'");
$local->reload;
poll_until('a reload changes the defaults', sub {
	$local->safe_psql('postgres', q{SELECT pool_size || ' ' || pool_recycle || ' ' || (sources->>'pool_size') FROM pool_config.targets})
	  eq '9 2min postgresql.conf';
});

# the README names each setting with its default, and says what is not yet in effect
my $readme = slurp_file('README.md');
my %row = $readme =~ /^\| `(\w+)` \| ([^|]*?) *\|/mg;
is_deeply([ sort keys %row ], \@settings, 'the README has a row for each setting');
cmp_ok(scalar(split /\n/, $readme), '<=', 400, 'and is not longer than 400 lines');
my %default = map { split /\|/, $_, 2 } split /\n/, $local->safe_psql('postgres', q{
	SELECT substr(name, 13), boot_val || CASE WHEN vartype = 'real' AND boot_val NOT IN ('0', '-1') THEN ' s' ELSE '' END
	FROM pg_settings WHERE name LIKE 'pool_config.%'});
is_deeply({ map { $_ => $row{$_} } @settings }, { map { $_ => $default{$_} } @settings }, 'with the defaults of the table');

# every function and view has its reference
is($local->safe_psql('postgres', q{
	SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p
	WHERE pronamespace = 'pool_config'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
	AND NOT EXISTS (SELECT 1 FROM pg_class c WHERE c.relname = p.proname AND c.relnamespace = p.pronamespace)}),
	'', 'every function has a comment');
is($local->safe_psql('postgres', q{
	SELECT string_agg(relname, ', ') FROM pg_class
	WHERE relnamespace = 'pool_config'::regnamespace AND relkind = 'v' AND obj_description(oid, 'pg_class') IS NULL}),
	'', 'and every view');
is($local->safe_psql('postgres', q{
	SELECT has_schema_privilege('public', 'pool_config', 'USAGE')}), 't', 'PUBLIC may use the schema');

done_testing();
