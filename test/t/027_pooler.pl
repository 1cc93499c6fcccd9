# A pooler in front of the remote: it is noticed, and may be named.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my ($program) = grep { -x } qw(/usr/sbin/pgbouncer /usr/bin/pgbouncer);
plan skip_all => 'no PgBouncer here' unless $program;

my $remote = start_remote('remote', 'log_statement = all');
my $local  = start_local('local');
my $dir    = PostgreSQL::Test::Utils::tempdir();
my %port;
my @running;

sub sql { return $local->safe_psql('postgres', $_[0]); }

for my $mode (qw(session transaction))
{
	$port{$mode} = PostgreSQL::Test::Cluster::get_free_port();
	append_to_file("$dir/users", '"app" "app-secret"' . "\n") if $mode eq 'session';
	append_to_file("$dir/$mode.ini", sprintf(q{[databases]
postgres = host=127.0.0.1 port=%d dbname=postgres user=app password=app-secret
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s/users
pool_mode = %s
default_pool_size = 1
ignore_startup_parameters = options,extra_float_digits
logfile = %s/%s.log
}, $remote->port, $port{$mode}, $dir, $mode, $dir, $mode));
	push @running, IPC::Run::start([ $program, "$dir/$mode.ini" ], '<', '/dev/null', '>', \my $out, '2>', \my $err);
	sql(sprintf(q{SELECT pool_config.create_target('%s', 'postgresql://app:app-secret@127.0.0.1:%d/postgres?sslmode=disable', pool_size => 1, max_overflow => 0)}, $mode, $port{$mode}));
	poll_until("PgBouncer pools by $mode", sub {
		my ($rc) = $local->psql('postgres', "SELECT pool_config.exec('$mode', 'select 1')");
		$rc == 0;
	}, 20);
}
make_target($local, $remote, 'direct');

like(sql(q{SELECT detail FROM pool_config.check_target('direct') WHERE step = 'pooler'}), qr/^none seen/, 'without a pooler none is seen');
for my $mode (qw(session transaction))
{
	like(sql("SELECT detail FROM pool_config.check_target('$mode') WHERE step = 'pooler'"), qr/^one stands in front/, "a pooler is seen ($mode)");
	like(sql("SELECT * FROM pool_config.diagnose('$mode')"), qr/^A pooler stands in front of the remote.*"pooler": "transaction"/m, 'and diagnose() asks which kind');
	is(sql("SELECT pool_config.exec('$mode', 'select 1') FROM generate_series(1, 20)"), join("\n", ('SELECT 1') x 20), 'statements that repeat work');
	# as long as nobody says otherwise nothing is left to other sessions
	sql("SELECT pool_config.exec('$mode', 'select set_config(''my.mark'', ''left'', false)')");
	is(sql("SELECT * FROM pool_config.query('$mode', 'select coalesce(current_setting(''my.mark'', true), '''')') AS t(a text)"), '',
		'the next session finds nothing');
}

my $resets = sub { my $n = () = slurp_file($remote->logfile) =~ /DISCARD ALL/g; $n };
sql(q{SELECT pool_config.alter_target('transaction', settings => '{"pooler": "transaction"}')});
sql(q{SELECT pool_config.exec('transaction', 'select 1')});
my $before = $resets->();
sql(q{SELECT pool_config.exec('transaction', 'select 1')}) for 1 .. 3;
is($resets->(), $before, 'a pooler of transactions is sent no reset: the session is not ours');
unlike(sql(q{SELECT * FROM pool_config.diagnose('transaction')}), qr/pooler/, 'and diagnose() does not ask any more');

$_->kill_kill for @running;
done_testing();
