# The drivers that people come from, as their packages are: the wrong name of
# a parameter fails there and here, each of them calls the pool, and an address
# is read as they read it.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $python = '/usr/bin/python3';
my $remote = start_remote('remote');
my $local  = start_local('local');

make_target($local, $remote, 'crm');
my ($out, $err) = ('', '');
my $done = IPC::Run::run([ $python, 'test/lib/drivers.py', $local->host, $local->port ],
	'>', \$out, '2>', \$err, IPC::Run::timeout(120));
my $tests = 0;
for my $line (split /\n/, $out)
{
	if    ($line =~ /^ok - (.*)/)     { pass($1); $tests++; }
	elsif ($line =~ /^not ok - (.*)/) { fail($1); $tests++; }
	elsif ($line =~ /^skip - (.*)/)   { SKIP: { skip $1, 1; } }
	else                              { diag($line); }
}
ok($done, 'the drivers ran to their end') or diag($err);
cmp_ok($tests, '>', 150, 'and all of them');
done_testing();
