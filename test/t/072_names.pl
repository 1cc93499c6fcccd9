# Network rig (test/lib/network.sh), where root may make one.
#
# Names of hosts: name servers that are dead, that answer half, that are others
# by now; a name with several addresses, of which the first one is silent.
use strict;
use warnings;
use IO::Socket::INET;
use NameServer;
use NetworkRig;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => "names need name servers of their own: $ENV{PCFG_NO_NETWORK}" unless NetworkRig->new;

sub configure
{
	my $lines = join '', map { "nameserver $_\n" } @_;
	open my $file, '>', '/etc/resolv.conf' or die "resolv.conf: $!";
	print $file $lines;
	close $file;
	return;
}

my $host = 'db.example.test';
my $dead = NameServer->new('127.0.0.3');
my $good = NameServer->new('127.0.0.2', $host => ['127.0.0.1'], 'two.example.test' => [ '127.0.0.9', '127.0.0.1' ]);
my $half = NameServer->new('127.0.0.4', $host => ['127.0.0.1'], silent_for_ipv6 => 1);
configure('127.0.0.3');
my $remote = start_remote('remote');
my $local  = start_local('local');

sub target
{
	my ($name, %options) = @_;
	my $more = join '', map { ", $_ => $options{$_}" } keys %options;
	$local->safe_psql('postgres', sprintf(q{SELECT pool_config.create_target('named', 'postgresql://app:app-secret@%s:%d/postgres?sslmode=disable', replace => true%s)}, $name, $remote->port, $more));
	return;
}
my $call = q{SELECT pool_config.exec('named', 'select 1')};

# a look-up that nobody answers, and servers that are others by now
target($host, connect_timeout => 1, pool_timeout => 2);
my $start = time;
fails_with($local, "$call;", '08001', "address of host .*$host.* was not found within connect_timeout", 'no name server answers');
cmp_ok(time - $start, '<', 4, 'in time');
configure('127.0.0.2');
poll_until('another one is configured: it is asked, without a restart', sub { ($local->psql('postgres', $call))[0] == 0 }, 10);

# with the default of five seconds
for my $case ([ 'the first name server is dead', '127.0.0.3', '127.0.0.2' ], [ 'it says nothing about IPv6', '127.0.0.4' ])
{
	my ($what, @servers) = @$case;
	configure(@servers);
	target($host);
	$start = time;
	sql_ok($local, $call, 'SELECT 1', "$what: the address is found");
	note(sprintf 'after %.1f s', time - $start);
	$local->safe_psql('postgres', q{SELECT pool_config.disconnect('named')});
}

# the first address swallows what it is sent
{
	my $silent = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.9', LocalPort => $remote->port, Proto => 'tcp') or die "$!";
	configure('127.0.0.2');
	target('two.example.test', connect_timeout => 1);
	sql_ok($local, $call, 'SELECT 1', 'the first address of a name is silent: the second one is tried');
	$local->safe_psql('postgres', q{SELECT pool_config.disconnect('named')});
	target('two.example.test', connect_timeout => 1, settings => q{'{"connect_deadline": "1s"}'}, pool_timeout => 2);
	fails_with($local, "$call;", '08001', 'did not finish within connect_timeout', 'unless all of the time is over');
}

done_testing();
