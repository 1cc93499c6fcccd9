# The recipe of the README for what applications have in their environment.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file('README.md');
cmp_ok(scalar(split /\n/, $readme), '<', 400, 'README.md stays short');
my ($recipe) = $readme =~ /```sql\n(\\set url.*?)```/s;
ok($recipe, 'README.md has the recipe');

my $remote = start_remote('remote');
my $local  = start_local('local');

sub run_recipe
{
	my (%environment) = @_;
	local %ENV = (%ENV, %environment);

	return $local->psql('postgres', $recipe);
}

my $url = sprintf('postgresql://app:app-secret@127.0.0.1:%d/postgres?sslmode=disable', $remote->port);
my ($rc, $out, $err) = run_recipe(DATABASE_URL => $url, DB_POOL_SIZE => 3, DB_POOL_MAX_OVERFLOW => 2, DB_POOL_RECYCLE => 60);
is($rc, 0, 'with all of them set') or diag($err);
sql_ok($local, q{SELECT pool_size, max_overflow, pool_recycle FROM pool_config.targets WHERE target = 'shop'},
	'3|2|1min', 'they are in effect');
sql_ok($local, q{SELECT * FROM pool_config.query('shop', 'select 42') AS t(a int)}, '42', 'and the target works');

($rc, $out, $err) = run_recipe(DATABASE_URL => $url =~ s/^postgresql/postgresql+psycopg2/r);
is($rc, 0, 'with the address only, as an engine has it') or diag($err);
sql_ok($local, q{SELECT pool_size, sources->>'pool_size' FROM pool_config.targets WHERE target = 'shop'},
	'5|default', 'the others are the defaults');
sql_ok($local, q{SELECT * FROM pool_config.query('shop', 'select 42') AS t(a int)}, '42', 'and the target works');

delete $ENV{DATABASE_URL};
($rc, $out, $err) = run_recipe();
like($err, qr/the address of the target is NULL.*look whether that is set/s, 'without the address it is told what to look for');
($rc, $out, $err) = run_recipe(DATABASE_URL => $url, DB_POOL_SIZE => 0);
like($err, qr/pool_size.*unlimited/s, 'a size of 0 is refused, with the reason');
($rc, $out, $err) = run_recipe(DATABASE_URL => "postgresql://app:app-secret/x\@h/db");
like($err, qr/%2F/, 'a password that was not encoded is told how to write it');
unlike($err =~ s/^LINE.*//mr, qr/secret/, 'and is not repeated');
done_testing();
