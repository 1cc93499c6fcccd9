# When and how often a remote is tried that does not take us.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use POSIX ();
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time sleep);

my $remote = start_remote('remote', 'max_connections = 80', 'superuser_reserved_connections = 3');
my $local  = start_local('local', 'pool_config.max_connections = 100', 'max_connections = 150');

sub sql { return $local->safe_psql('postgres', $_[0]); }

# What the remote's log says since the last look.
my $offset = 0;
sub logged
{
	my ($pattern) = @_;
	my $text = substr(slurp_file($remote->logfile), $offset);
	my $n = () = $text =~ /$pattern/g;
	return $n;
}
sub forget_log { $offset = -s $remote->logfile; }

sub address { return sprintf('postgresql://%s:%s@127.0.0.1:%d/%s?sslmode=disable', @_); }

# --- a wrong password: one attempt, whoever and however many ask
sql(sprintf(q{SELECT pool_config.create_target('wrong', '%s')}, address('app', 'guess', $remote->port, 'postgres')));
forget_log();
my $calls = "\\set VERBOSITY verbose\n" . q{SELECT pool_config.exec('wrong', 'select 1');} . "\n";
my @runs = map { start_psql($local, $calls x 5) } 1 .. 10;
finish_psql($_) for @runs;
my $errors = join '', map { $_->{err} } @runs;
is(scalar(() = $errors =~ /ERROR:  08001: could not connect to target "wrong"/g), 50, 'a wrong password: each call is told');
is(scalar(() = $errors =~ /^DETAIL: .*password authentication failed/mg), 50, 'with the cause');
is(logged(qr/password authentication failed for user "app"/), 1, 'and the remote is asked once');
like($errors, qr/HINT:  Correct the user mapping of the target. The next attempt is made in \d+ s/, 'when it will be asked again');
is(sql(q{SELECT state FROM pool_config.pools WHERE target = 'wrong'}), 'down', 'the pool is down');
like(sql(q{SELECT last_error FROM pool_config.stats WHERE target = 'wrong'}), qr/password authentication failed/, 'the error stays on record');
is(sql(q{SELECT refused + queued, connect_failures FROM pool_config.stats WHERE target = 'wrong'}), '50|1', 'and the calls are counted');
kill 'TERM', sql('SELECT pid FROM pool_config.workers');
poll_until('a new worker', sub { sql('SELECT life FROM pool_config.workers') eq '2' });
fails_with($local, q{SELECT pool_config.exec('wrong', 'select 1');}, '08001', 'password authentication failed', 'another worker, the same password');
is(logged(qr/password authentication failed for user "app"/), 1, 'is no reason to ask again');

# --- a role that alters its own mapping buys nothing and harms nobody
make_target($local, $remote, 'crm');
sql(q{CREATE ROLE mallory LOGIN; GRANT USAGE ON FOREIGN SERVER crm TO mallory;
	CREATE USER MAPPING FOR mallory SERVER crm OPTIONS (user 'app', password 'guess')});
my $pid = sql(q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(p int)});
forget_log();
my $guess = join "\n", map { qq{ALTER USER MAPPING FOR mallory SERVER crm OPTIONS (SET password 'guess$_');\nSELECT pool_config.exec('crm', 'select 1');} } 1 .. 1000;
my ($rc, $out, $err) = $local->psql('postgres', "SET ROLE mallory;\n$guess", on_error_stop => 0);
is(scalar(() = $err =~ /could not connect to target "crm"/g), 1000, 'a thousand guesses');
is(logged(qr/password authentication failed/), 1, 'of which the remote sees one');
$local->psql('postgres', qq{SET ROLE mallory;
	DROP USER MAPPING FOR mallory SERVER crm;
	CREATE USER MAPPING FOR mallory SERVER crm OPTIONS (user 'app', password 'guess');
	SELECT pool_config.exec('crm', 'select 1');}, on_error_stop => 0);
is(logged(qr/password authentication failed/), 1, 'nor does a new mapping buy an attempt');
is(sql(q{SELECT * FROM pool_config.query('crm', 'select pg_backend_pid()') AS t(p int)}), $pid, "and others' connections stay");
sql(q{ALTER USER MAPPING FOR mallory SERVER crm OPTIONS (SET password 'app-secret')});
is(sql(q{SET ROLE mallory; SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', 'what the owner of the target changes is tried at once');

# --- an unknown database; recycle() is another way to ask at once
sql(sprintf(q{SELECT pool_config.create_target('nodb', '%s')}, address('app', 'app-secret', $remote->port, 'later')));
forget_log();
fails_with($local, q{SELECT pool_config.exec('nodb', 'select 1');}, '08001', 'database "later" does not exist', 'an unknown database') for 1 .. 3;
is(logged(qr/database "later" does not exist/), 1, 'is asked for once');
$remote->safe_psql('postgres', 'CREATE DATABASE later');
sql(q{SELECT pool_config.recycle('nodb')});
is(sql(q{SELECT pool_config.exec('nodb', 'select 1')}), 'SELECT 1', 'and again after recycle()');

# --- a remote that is full: what lives serves on
$remote->safe_psql('postgres', q{CREATE ROLE limited LOGIN PASSWORD 'limited-secret' CONNECTION LIMIT 2});
make_target($local, $remote, 'full', user => 'limited', password => 'limited-secret');

# with the two it may have: each that succeeds makes failures before it forgotten
@runs = map { start_psql($local, q{SELECT pool_config.exec('full', 'select pg_sleep(1)')}) } 1 .. 2;
finish_psql($_) for @runs;
is(sql(q{SELECT open FROM pool_config.pools WHERE target = 'full'}), '2', 'a remote that gives two connections');
my $began = time;
@runs = map { start_psql($local, q{SELECT pool_config.exec('full', 'select pg_sleep(0.1)');} . "\n" . q{SELECT pool_config.exec('full', 'select pg_sleep(0.1)');}) } 1 .. 8;
finish_psql($_) for @runs;
is(join('', map { $_->{out} . $_->{err} } @runs), "SELECT 1\n" x 16, '53300 at the remote: all calls are served by what there is');
cmp_ok(logged(qr/too many connections for role "limited"/), '<=', 6 + 2 * (time - $began), 'and the remote is not hammered');

# --- a remote that was to be a primary, and is none any more
sql(sprintf(q{SELECT pool_config.create_target('primary', '%s&target_session_attrs=read-write', pool_timeout => 2)},
	address('app', 'app-secret', $remote->port, 'postgres')));
sql(q{SELECT pool_config.exec('primary', 'create table public.written(a int)'); SELECT pool_config.prewarm('primary', 3)});
my $pids = sql(q{SELECT string_agg(remote_pid::text, ',') FROM pool_config.connections WHERE target = 'primary'});
$remote->safe_psql('postgres', 'ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()');
poll_until('the remote became read-only', sub { $remote->safe_psql('postgres', 'SHOW transaction_read_only') eq 'on' });
fails_with($local, q{SELECT pool_config.exec('primary', 'insert into written values (1)');}, '25006', 'read-only', 'a write to it fails');
poll_until('costs it all connections of the pool', sub {
	$remote->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid IN ($pids)") == 0;
});
fails_with($local, q{SELECT pool_config.exec('primary', 'insert into written values (1)');}, '08001', 'read-only', 'and new ones do not take it for a primary');
$remote->safe_psql('postgres', 'SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only');
$remote->safe_psql('postgres', 'SELECT pg_reload_conf()');
poll_until('until it is one again', sub {
	my ($rc) = $local->psql('postgres', q{SELECT pool_config.exec('primary', 'insert into written values (1)')});
	$rc == 0;
});

# --- 57P03: a remote that is just starting is waited for
my $server = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', Proto => 'tcp');
my $starting = fork();
if ($starting == 0)
{
	# refuses as a server does that starts up
	my $until = time + 20;
	my $say = "SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
	my $select = IO::Select->new($server);
	while (time < $until)
	{
		next unless $select->can_read(0.2);
		my $client = $server->accept;
		my $startup;
		sysread $client, $startup, 8192;
		syswrite $client, 'E' . pack('N', 4 + length $say) . $say;
		close $client;
	}
	POSIX::_exit(0);
}
sql(sprintf(q{SELECT pool_config.create_target('starting', '%s', pool_timeout => 1.5)}, address('u', 'p', $server->sockport, 'db')));
my $start = time;
fails_with($local, q{SELECT pool_config.exec('starting', 'select 1');}, '08001', 'starting up', 'a remote that is starting');
cmp_ok(time - $start, '>', 1.3, 'is waited for until pool_timeout');
kill 'KILL', $starting;
waitpid $starting, 0;
close $server;

# --- a remote that swallows everything: one waits, the others are told
$server = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', Proto => 'tcp');
sql(sprintf(q{SELECT pool_config.create_target('silent', '%s', connect_timeout => 3, pool_timeout => 20)}, address('u', 'p', $server->sockport, 'db')));
fails_with($local, q{SELECT pool_config.exec('silent', 'select 1');}, '08001', 'connect_timeout', 'a silent remote');
sleep 0.1;
my $probe = start_psql($local, q{SELECT pool_config.exec('silent', 'select 1');});
poll_until('one tries', sub { sql(q{SELECT connecting FROM pool_config.pools WHERE target = 'silent'}) == 1 });
sleep 0.35;
$start = time;
fails_with($local, q{SELECT pool_config.exec('silent', 'select 1');}, '08001', 'connect_timeout', 'another');
cmp_ok(time - $start, '<', 1.5, 'is told at once');
finish_psql($probe);
close $server;

# --- a remote that logs us in and hangs up: a failed connect, not an endless one
$server = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', Proto => 'tcp');
my $proxy = fork();
if ($proxy == 0)
{
	$SIG{CHLD} = 'IGNORE';
	while (my $client = $server->accept)
	{
		next if fork();
		my $up = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $remote->port, Proto => 'tcp');
		my $both = IO::Select->new($client, $up);
		my $ready = 0;
		while ($ready < 2)    # the login's, and that of the proof
		{
			for my $from ($both->can_read)
			{
				sysread($from, my $bytes, 8192) or POSIX::_exit(0);
				syswrite $from == $up ? $client : $up, $bytes;
				$ready++ if $from == $up && $bytes =~ /Z\x00\x00\x00\x05I$/;
			}
		}
		POSIX::_exit(0);
	}
}
sql(sprintf(q{SELECT pool_config.create_target('hangsup', '%s', pool_timeout => 20)}, address('app', 'app-secret', $server->sockport, 'postgres')));
forget_log();
$start = time;
($rc, $out, $err) = $local->psql('postgres', qq{\\set VERBOSITY verbose\nSELECT pool_config.exec('hangsup', 'select 1');} x 2, on_error_stop => 0);
is(scalar(() = $err =~ /ERROR:  0800[16]:/g), 2, 'a remote that hangs up after the login') or diag($err);
cmp_ok(time - $start, '<', 10, 'is told long before pool_timeout');
cmp_ok(logged(qr/connection authorized: user=app/), '<=', 8, 'after few attempts');
kill 'KILL', $proxy;
waitpid $proxy, 0;
close $server;

# --- sixty connections, and the remote restarts under load
make_target($local, $remote, 'load', pool_size => 60, max_overflow => 0, pool_timeout => 10);
is(sql(q{SELECT pool_config.prewarm('load', 60)}), '60', 'sixty connections');
sql(q{CREATE TABLE failures(at timestamptz, code text);
	CREATE TABLE served(at timestamptz, n int);
	CREATE PROCEDURE work(seconds int) LANGUAGE plpgsql AS $$
	DECLARE ends timestamptz := clock_timestamp() + make_interval(secs => seconds); n int := 0;
	BEGIN
		WHILE clock_timestamp() < ends LOOP
			BEGIN
				PERFORM pool_config.exec('load', 'select 1');
				n := n + 1;
			EXCEPTION WHEN OTHERS THEN
				INSERT INTO failures VALUES (clock_timestamp(), SQLSTATE);
				COMMIT;
				PERFORM pg_sleep(0.02);
			END;
			IF n % 50 = 0 THEN COMMIT; END IF;
		END LOOP;
		INSERT INTO served VALUES (clock_timestamp(), n);
	END $$});
my @load = map { start_psql($local, 'CALL work(8)') } 1 .. 60;
sleep 2;
forget_log();
my $down = sql('SELECT clock_timestamp()');
$remote->stop('fast');
sleep 1;
$remote->start;
my $up = sql('SELECT clock_timestamp()');
finish_psql($_) for @load;
is(join('', map { $_->{err} } @load), '', 'the load ran through');
is(sql('SELECT count(*) FROM served WHERE n > 0'), '60', 'in all sessions');
cmp_ok(sql('SELECT count(*) FROM failures'), '>', 0, 'calls failed while the remote was down');
is(sql(qq{SELECT count(*) FROM failures WHERE at < '$down'}), '0', 'none before');
is(sql(qq{SELECT count(*) FROM failures WHERE at > '$up'::timestamptz + interval '1.2 s'}), '0', 'none after it was back')
  or diag(sql(qq{SELECT at - '$up'::timestamptz, code, count(*) FROM failures WHERE at > '$up' GROUP BY 1, 2 ORDER BY 1 DESC LIMIT 10}));
is(sql(q{SELECT string_agg(DISTINCT code, ',') FROM failures WHERE code NOT IN ('08001', '08006')}), '', 'each as lost, or as no connection');
cmp_ok(logged(qr/connection authorized: user=app/), '<=', 75, 'and no more connects than needed');
diag('failures: ' . sql('SELECT count(*) FROM failures') . ', calls: ' . sql('SELECT sum(n) FROM served') .
	  ', last failure after the start: ' . sql(qq{SELECT max(at) - '$up'::timestamptz FROM failures}));

is(sql('SELECT rescued FROM pool_config.workers'), '0', 'no wake-up was lost');
done_testing();
