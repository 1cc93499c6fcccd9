# The examples of the README, one after the other, as a reader pastes them.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote');
my $local  = start_local('local', q{listen_addresses = '127.0.0.1'});
my $port   = $remote->port;

$remote->safe_psql('postgres', 'CREATE DATABASE shop OWNER app');
$remote->safe_psql('shop', q{
	SET ROLE app;
	CREATE TABLE customers (id int PRIMARY KEY, name text, seen timestamptz, city text);
	INSERT INTO customers VALUES (1, 'Ada', now(), 'Bath'), (2, 'Bob', now(), NULL), (42, 'Eve', now() - interval '1 year', NULL);
	CREATE TABLE stock AS SELECT 42 AS id, 7 AS n});
$local->safe_psql('postgres', 'DROP EXTENSION pool_config; CREATE DATABASE shop; CREATE DATABASE other; CREATE ROLE reporting');
$local->safe_psql('shop', 'CREATE TABLE orders (id int)');
$local->safe_psql('other', 'CREATE EXTENSION pool_config');
my $hba = $local->data_dir . '/pg_hba.conf';
my $rules = slurp_file($hba);
open(my $file, '>', $hba) or die "$hba: $!";
print $file "host all auditor 127.0.0.1/32 scram-sha-256\n$rules";
close $file;
$local->reload;

# What an example begins with: what has to show of it, and where it is run.
my %examples = (
	'CREATE EXTENSION' => { shows => [ '42\|Eve', 'UPDATE 1', 'public\|5\|10', 'idle\|(?:direct|relay)' ] },
	'CREATE TYPE customer' => { shows => [ '1\|Ada', '2\|Bob' ] },
	'SELECT * FROM pool_config.query(' => { shows => [ 'Ada', 'Bob', 'UPDATE 1' ] },
	'SELECT pool_config.create_function' => { shows => [ 'customer\(integer\)', '42\|Ada' ] },
	'CREATE SERVER' => { database => 'other', then => [ q{SELECT * FROM pool_config.query('shop', 'select count(*) from customers') AS t(n int)}, 3 ] },
	'\set url' => { shows => [ 'shop' ], then => [ q{SELECT pool_size FROM pool_config.targets}, 5 ] },
	'SELECT pool_config.acquire' => { shows => [ 'SELECT 2', '^2$', '^t$' ] },
	'BEGIN' => { shows => [ 'UPDATE 1' ], then => [ q{SELECT t.n, o.id FROM pool_config.query('shop', 'select n from stock') AS t(n int), orders o}, '6|42' ] },
	'CREATE ROLE auditor' => { then => [ q{BEGIN; SELECT audit('seen'); ROLLBACK; SELECT what FROM audit}, "\nseen" ] },
	'SELECT pool_config.pause' => { shows => [ '^t$' ], then => [ q{SELECT count(DISTINCT pool_config.resume(target)::text) FROM pool_config.targets}, 1 ] },
);

my $readme   = slurp_file('README.md');
my @examples = $readme =~ /^```sql\n(.*?)^```$/msg;
local $ENV{DATABASE_URL} = sprintf('postgresql://app:app-secret@127.0.0.1:%d/shop?sslmode=%s', $port, $sslmode);
for my $sql (@examples)
{
	my ($name) = grep { index($sql, $_) == 0 } keys %examples;
	ok($name, 'an example is known: ' . substr($sql, 0, 40) =~ s/\n.*//sr) or next;
	my $example  = delete $examples{$name};
	my $database = $example->{database} // 'shop';

	# the addresses of the test
	$sql =~ s/host 'db\.example\.com'/host '127.0.0.1', port '$port'/;
	$sql =~ s/password 'secret'/password 'app-secret'/;
	$sql =~ s/127\.0\.0\.1:5432/'127.0.0.1:' . $local->port/e;
	$sql =~ s/sslmode 'disable'/sslmode '$sslmode'/;
	my ($rc, $out, $err) = $local->psql($database, $sql);
	is("$rc $err", '0 ', "$name: runs");
	like($out, qr/$_/m, "... and shows $_") for @{ $example->{shows} // [] };
	is($local->safe_psql($database, $example->{then}[0]), $example->{then}[1], '... with the effect that it has') if $example->{then};
}
is(join(', ', sort keys %examples), '', 'the README has no fewer examples');
done_testing();
