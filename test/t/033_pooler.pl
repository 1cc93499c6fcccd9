# Behind a pooler between transactions: nothing is asked of it that it would
# refuse or hand on to others, and what is read is right all the same.
use strict;
use warnings;
use File::Spec;
use IO::Socket::INET;
use PoolConfig;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote');
my $local  = start_local('local');
my $folder = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());
my $port   = PostgreSQL::Test::Cluster::get_free_port();

append_to_file("$folder/users", qq{"app" "app-secret"\n});
append_to_file("$folder/ini", sprintf(q{[databases]
postgres = host=127.0.0.1 port=%d dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s/users
pool_mode = transaction
default_pool_size = 2
}, $remote->port, $port, $folder));
my ($out, $err) = ('', '');
my $pgbouncer;

sub start_pooler
{
	$pgbouncer = IPC::Run::start([ '/usr/sbin/pgbouncer', "$folder/ini" ], '<', '/dev/null', '>', \$out, '2>', \$err);
	poll_until('the pooler is up', sub {
		IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) ? 1 : 0;
	});
}

sub stop_pooler
{
	$pgbouncer->kill_kill if $pgbouncer;
	$pgbouncer = undef;
}

END
{
	my $status = $?;
	stop_pooler();
	$? = $status;
}
start_pooler();

my $url = "postgresql://app:app-secret\@127.0.0.1:$port/postgres?sslmode=disable";
my $values = q{SELECT * FROM pool_config.query('%s', $$select date '2024-02-29', timestamp '2024-02-29 12:00', interval '1 year 2 days', 0.1::float8 + 0.2$$)
	AS t(d date, ts timestamp, i interval, f float8)};
my $expected = '2024-02-29|2024-02-29 12:00:00|1 year 2 days|0.30000000000000004';

$local->safe_psql('postgres', "SELECT pool_config.create_target('unknown', '$url')");
fails_with($local, q{SELECT pool_config.exec('unknown', 'select 1');}, '08001', 'unsupported startup parameter',
	'a pooler that nobody told of refuses what a session asks for');
$local->safe_psql('postgres', "SELECT pool_config.create_target('pooled', '$url', settings => '{\"pooler\": \"transaction\"}')");
sql_ok($local, sprintf($values, 'pooled'), $expected, 'with the setting pooler nothing of the kind is sent, and values are right');
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('unknown', settings => '{"pooler": "transaction"}')});
sql_ok($local, sprintf($values, 'unknown'), $expected, 'the setting may come later');
$local->safe_psql('postgres', q{SELECT pool_config.reset_target('unknown', 'pooler')});
$local->append_conf('postgresql.conf', "pool_config.pooler = 'transaction'");
$local->reload;
poll_until('or in postgresql.conf', sub {
	$local->psql('postgres', sprintf($values, 'unknown')) == 0;
});
sql_ok($local, sprintf($values, 'unknown'), $expected, 'with right values');

# --- many sessions on few
my @runs = run_together($local, map { "SELECT * FROM pool_config.query('pooled', 'select $_') AS t(a int);\n" x 5 } 1 .. 10);
is(join(' ', map { $_->{out} =~ s/\n/,/gr } @runs), join(' ', map { "$_," x 5 } 1 .. 10), 'each session gets what it asked for');

# --- other styles at the remote
$remote->safe_psql('postgres', q{ALTER ROLE app SET datestyle = 'German, DMY'});
$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'});
$local->safe_psql('postgres', q{SELECT pool_config.disconnect('pooled')});
poll_until('dates are still ISO', sub {
	my ($rc, $out) = $local->psql('postgres', sprintf($values, 'pooled'));
	$rc == 0 && $out eq $expected;
});
$remote->safe_psql('postgres', q{ALTER ROLE app SET intervalstyle = 'sql_standard'});
stop_pooler();
start_pooler();
poll_until('intervals of another style are not read: who looks after the remote is told', sub {
	my ($rc, $out, $err) = $local->psql('postgres', sprintf($values, 'pooled'));
	$err =~ /IntervalStyle/;
});
fails_with($local, q{SELECT pool_config.create_target('x', 'host=h user=u', connect_args => '{"options": "-c search_path=app"}', settings => '{"pooler": "transaction"}');},
	'0A000', 'lost in a pooler', 'what needs a session is refused when the target is made');
done_testing();
