# SQLAlchemy's QueuePool and pool_config side by side: the same scenarios
# against the same server, and what differs on purpose.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $python = '/usr/bin/python3';
if (system("$python -c 'import sqlalchemy, psycopg2' >/dev/null 2>&1") != 0)
{
	plan skip_all => "$python has no SQLAlchemy and psycopg2";
}

# name => [ QueuePool, pool_config, why ]
my %differs = (
	dead_without_ping => [ 'lost works 1', 'works works 1',
		'the socket itself is looked at on every checkout, without a ping' ],
	one_dead_of_three => [ '0', '2', 'after a break the others are asked, and those that live stay' ],
	setting_by_default => [ 'left', '', 'another session finds a connection that was reset' ],
	wrong_password => [ 'refused refused refused 3', 'refused refused refused 1',
		'a refusal that another attempt would only repeat is tried once a minute' ],
);

my $remote = start_remote('remote', "log_statement = all", "log_line_prefix = '%m %a '");
my $local  = start_local('local');
$remote->safe_psql('postgres', q{
	CREATE ROLE observer LOGIN SUPERUSER PASSWORD 'observer-secret'});

my ($out, $err) = ('', '');
IPC::Run::run([ $python, 'test/lib/queuepool.py', $remote->port, $remote->logfile, $local->connstr('postgres') ],
	'>', \$out, '2>', \$err, IPC::Run::timeout(180));
is($err, '', 'the scenarios run');

my %seen;
for my $line (split /\n/, $out)
{
	my ($name, $theirs, $ours) = split /\t/, $line, -1;
	my $differs = delete $differs{$name};
	$seen{$name}++;
	(my $title = $name) =~ tr/_/ /;
	if ($differs)
	{
		is($theirs, $differs->[0], "$title: QueuePool");
		is($ours, $differs->[1], "$title: pool_config, for $differs->[2]");
	}
	else
	{
		is($ours, $theirs, "$title: the same ($theirs)");
	}
	unlike("$theirs $ours", qr/Error|Exception|gave up/, "$title: no accident");
}
cmp_ok(scalar(keys %seen), '>=', 24, 'all scenarios were run');
is(join(' ', keys %differs), '', 'and so were all that differ');
is($local->safe_psql('postgres', 'SELECT rescued FROM pool_config.workers'), '0', 'no wake-up was lost');
done_testing();
