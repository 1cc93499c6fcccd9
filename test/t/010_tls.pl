# TLS: every sslmode, certificates on both sides, versions, and what a TLS
# connection can do to a relay; what it does to memory and to others.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $remote = start_remote('remote', 'max_connections = 100');
my $local  = start_local('local', 'max_connections = 120');
my $dir    = $remote->data_dir;
my $port   = $remote->port;

make_certificates($dir);
$remote->append_conf('postgresql.conf', "ssl = on\nssl_ca_file = 'ca.crt'");
unlink "$dir/pg_hba.conf";
$remote->append_conf('pg_hba.conf', q{
local all all trust
hostssl all certified 127.0.0.1/32 cert map=cn
hostssl all twofold 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
hostnossl all onlyssl 127.0.0.1/32 reject
hostssl all plain 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256});
$remote->append_conf('pg_ident.conf', 'cn app certified');
$remote->restart;
$remote->safe_psql('postgres', qq{CREATE ROLE $_ LOGIN PASSWORD 'app-secret'}) for qw(certified twofold onlyssl plain);

# The transport and TLS version of a target with that user and those
# parameters; or the error.
my $n = 0;
sub try
{
	my ($user, $host, $parameters, $more, $as) = @_;
	my $target = 't' . ++$n;
	my $secret = $user eq 'certified' ? '' : ':app-secret';

	$local->safe_psql('postgres', qq{SELECT pool_config.create_target('$target', 'postgresql://$user$secret\@$host:$port/postgres?$parameters', connect_timeout => 10)});
	$local->safe_psql('postgres', sprintf($more, $target)) if $more;
	my ($rc, $out, $err) = $local->psql('postgres', qq{
		\\set VERBOSITY verbose
		} . ($as ? "SET ROLE $as;" : '') . qq{
		SELECT * FROM pool_config.query('$target', 'select coalesce(version, ''none'') from pg_stat_ssl where pid = pg_backend_pid()') AS t(v text);
		RESET ROLE;
		SELECT transport || CASE WHEN tls THEN ' tls' ELSE '' END FROM pool_config.connections WHERE target = '$target'},
		on_error_stop => 0);
	return $rc || $err =~ /ERROR/ ? $err : join(' ', split /\n/, $out);
}

# --- sslmode
like(try('app', 'localhost', "sslmode=$_"), qr/^none direct$/, "sslmode=$_") for qw(disable allow);
like(try('app', 'localhost', "sslmode=$_"), qr/^TLSv1.3 relay tls$/, "sslmode=$_") for qw(prefer require);
like(try('app', 'localhost', ''), qr/^TLSv1.3 relay tls$/, 'sslmode is prefer by default');
like(try('app', 'localhost', "sslmode=$_&sslrootcert=$dir/ca.crt"), qr/^TLSv1.3 relay tls$/, "sslmode=$_ with its authority") for qw(verify-ca verify-full);
like(try('onlyssl', 'localhost', 'sslmode=prefer'), qr/relay tls/, 'a remote that wants TLS: prefer');
like(try('onlyssl', 'localhost', 'sslmode=allow'), qr/relay tls/, 'a remote that wants TLS: allow');
like(try('onlyssl', 'localhost', 'sslmode=disable'), qr/ERROR:  08001.*pg_hba.conf/s, 'a remote that wants TLS: disable');
like(try('plain', 'localhost', 'sslmode=prefer'), qr/^none direct$/, 'a remote that wants none: prefer');
like(try('plain', 'localhost', 'sslmode=require'), qr/ERROR:  08001.*pg_hba.conf/s, 'a remote that wants none: require');
like(try('app', 'localhost', "sslmode=verify-ca&sslrootcert=$dir/other_ca.crt"), qr/ERROR:  08001.*certificate verify failed/s, 'verify-ca with another authority');
like(try('app', '127.0.0.1', "sslmode=verify-full&sslrootcert=$dir/ca.crt"), qr/relay tls/, 'verify-full by address');
like(try('app', '127.0.0.2', "sslmode=verify-full&sslrootcert=$dir/ca.crt"), qr/ERROR:  08001/, 'verify-full of an address that is not in it');
like(try('app', 'localhost', 'sslmode=verify-full'), qr/ERROR:  08001.*root certificate file/s, 'verify-full without an authority does not fall back to a file of the server account');
$remote->append_conf('postgresql.conf', "ssl_cert_file = 'expired.crt'\nssl_key_file = 'expired.key'");
$remote->reload;
poll_until('a certificate that has expired', sub {
	try('app', 'localhost', "sslmode=verify-ca&sslrootcert=$dir/ca.crt") =~ /certificate verify failed|expired/;
});
$remote->append_conf('postgresql.conf', "ssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'");
$remote->reload;
poll_until('and its replacement', sub {
	try('app', 'localhost', "sslmode=verify-ca&sslrootcert=$dir/ca.crt") =~ /relay tls/;
});

# --- versions, channel binding
like(try('app', 'localhost', 'sslmode=require&ssl_max_protocol_version=TLSv1.2'), qr/^TLSv1.2 relay tls$/, 'TLS 1.2');
like(try('app', 'localhost', 'sslmode=require&ssl_min_protocol_version=TLSv1.3'), qr/^TLSv1.3 relay tls$/, 'TLS 1.3');
like(try('app', 'localhost', 'sslmode=require&channel_binding=require'), qr/relay tls/, 'channel binding');
fails_with($local, qq{SELECT pool_config.create_target('no', 'postgresql://app:x\@localhost:$port/postgres?sslmode=disable&channel_binding=require');},
	'22023', 'channel_binding=require needs TLS', 'channel binding without TLS');

# --- client certificates: files of the server, so a superuser's to give
my $certificate = "ALTER USER MAPPING FOR PUBLIC SERVER %1\$s OPTIONS (ADD sslcert '$dir/client.crt', ADD sslkey '$dir/client.key'); GRANT USAGE ON FOREIGN SERVER %1\$s TO PUBLIC; ";
$local->safe_psql('postgres', 'CREATE ROLE ordinary');
like(try('certified', 'localhost', 'sslmode=require', $certificate), qr/relay tls/, 'a client certificate without a password, for a superuser');
like(try('certified', 'localhost', 'sslmode=require'), qr/ERROR:  08001/, 'and none without it');
like(try('certified', 'localhost', 'sslmode=require', $certificate, 'ordinary'), qr/ERROR:  2F003/, 'it is no password for others');
like(try('certified', 'localhost', 'sslmode=require', $certificate . "ALTER USER MAPPING FOR PUBLIC SERVER %1\$s OPTIONS (ADD password_required 'false')", 'ordinary'),
	qr/relay tls/, 'unless a superuser says so');
like(try('twofold', 'localhost', 'sslmode=require', $certificate, 'ordinary'), qr/relay tls/, 'a certificate and a password');
like(try('twofold', 'localhost', 'sslmode=require', undef, 'ordinary'), qr/ERROR:  (42501|08001)/, 'only one of them');
$local->safe_psql('postgres', 'GRANT USAGE ON FOREIGN DATA WRAPPER pool_config TO ordinary; GRANT CREATE ON DATABASE postgres TO ordinary');
for my $option ('sslcert', 'sslkey')
{
	fails_with($local, qq{SET ROLE ordinary; CREATE SERVER mine FOREIGN DATA WRAPPER pool_config OPTIONS (host 'localhost');
		CREATE USER MAPPING FOR ordinary SERVER mine OPTIONS (user 'x', password 'y', $option '$dir/client.key');}, '42501', $option,
		"$option is not an ordinary role's to give");
	$local->safe_psql('postgres', 'DROP SERVER IF EXISTS mine CASCADE');
}

# --- what the administrator is told
for my $mode ('disable', 'require')
{
	$local->safe_psql('postgres', "SELECT pool_config.create_target('told_$mode', 'postgresql://app:app-secret\@localhost:$port/postgres?sslmode=$mode')");
	like($local->safe_psql('postgres', "SELECT detail FROM pool_config.check_target('told_$mode') WHERE step = 'transport' AND ok"),
		$mode eq 'disable' ? qr/^direct/ : qr/^relay.*sslmode=disable/, "check_target says how bytes travel, sslmode=$mode");
}

# --- what a TLS server may do
my $plain = start_remote('behind', 'max_connections = 100');
$plain->append_conf('postgresql.conf', 'ssl = off');
$plain->restart;
my $tls_out  = '';
my ($tls, $tls_port, $control) = start_tls_server($dir, $plain->port, \$tls_out);

# Sets the habits of connections from now on and makes a target for them.
sub habits
{
	my ($habits, %options) = @_;
	my $target = 'h' . ++$n;

	unlink $control;
	append_to_file($control, $habits);
	$local->safe_psql('postgres', sprintf(
			q{SELECT pool_config.create_target('%s', 'postgresql://app:app-secret@%s:%d/postgres?sslmode=%s', pool_size => %d)},
			$target, $options{host} // 'localhost', $tls_port, $options{sslmode} // 'require', $options{size} // 5));
	return $target;
}

# A large answer, which must be right to the last byte.
my $large = q{SELECT count(*), sum(a), md5(string_agg(b, '' ORDER BY a)) FROM pool_config.query('%s',
	'select g, repeat(md5(g::text), 1 + g %% 50) from generate_series(1, %d) g') AS t(a int, b text)};
my %expected;
sub large_ok
{
	my ($target, $rows, $what) = @_;

	$expected{$rows} //= $plain->safe_psql('postgres',
		"select count(*), sum(g), md5(string_agg(repeat(md5(g::text), 1 + g % 50), '' ORDER BY g)) from generate_series(1, $rows) g");
	sql_ok($local, sprintf($large, $target, $rows), $expected{$rows}, $what);
}

sql_ok($local, sprintf(q{SELECT pool_config.exec('%s', 'select 1')}, habits('')), 'SELECT 1', 'through the test server');
$tls->pump_nb;
like($tls_out, qr/^TLSv1.3 localhost$/m, 'the name asked for is sent (SNI)');
for my $size (1, 2, 5, 100, 511, 512, 4096, 16384)
{
	large_ok(habits("record=$size"), $size < 100 ? 100 : 20000, "records of $size bytes");
}
large_ok(habits('keyupdate=100000 version=1.3'), 20000, 'key updates');
large_ok(habits('version=1.2'), 20000, 'TLS 1.2');
my $target = habits('renegotiate=3000000 version=1.2');
my ($rc, $out, $err) = $local->psql('postgres', sprintf($large, $target, 20000), on_error_stop => 0);
ok($out eq $expected{20000} || $err =~ /connection to target "$target" was lost/, 'an attempt to renegotiate is refused, or ends the connection');
sql_ok($local, qq{SELECT pool_config.exec('$target', 'select 1')}, 'SELECT 1', 'and the next call works');

my $size = 64 * 1024 * 1024;
sql_ok($local, sprintf(q{SELECT x FROM pool_config.query('%s', 'select md5(''' || repeat('0123456789abcdef', %d) || ''')') AS t(x text)}, habits('keyupdate=50'), $size / 16),
	$plain->safe_psql('postgres', "select md5(repeat('0123456789abcdef', $size / 16))"), 'a statement of 64 MB');
$target = habits('');
sql_ok($local, qq{
	CREATE TABLE many (n int);
	DO \$\$ DECLARE got int; BEGIN
	FOR i IN 1..20000 LOOP
		SELECT a INTO got FROM pool_config.query('$target', 'select ' || i) AS t(a int);
		IF got <> i THEN RAISE 'wrong answer'; END IF;
	END LOOP; INSERT INTO many VALUES (20000); END \$\$;
	TABLE many}, '20000', '20000 small round trips');

# --- the end in mid-answer is never the end of the data
for my $how ('cut', 'notify', 'reset')
{
	# the login and what proves it take some records first
	my ($complete, $lost, $wrong, $connect) = (0, 0, 0, 0);
	for my $k (1 .. 24)
	{
		my $t = habits("$how=$k record=512");
		my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\n" . sprintf($large, $t, 200), on_error_stop => 0);
		if    ($err =~ /ERROR:  08006/) { $lost++; }
		elsif ($err =~ /ERROR:  08001/) { $connect++; }
		elsif ($out eq ($expected{200} //= $plain->safe_psql('postgres',
			"select count(*), sum(g), md5(string_agg(repeat(md5(g::text), 1 + g % 50), '' ORDER BY g)) from generate_series(1, 200) g"))) { $complete++; }
		else { $wrong++; diag("$how at record $k: $out $err"); }
	}
	is($wrong, 0, "$how after each record: right, or an error ($connect at connect, $lost later, $complete complete)");
	cmp_ok($lost, '>', 10, "$how in mid-answer is 08006");
	is($complete, 0, "and no answer was complete after $how");
}

# --- in plain text, before TLS
$err = '';
for my $habit ("plain=E\\000\\000", 'plain=Canary-of-the-man-in-the-middle', 'error=Canary-of-the-man-in-the-middle')
{
	my $t = habits($habit);
	my $e = fails_with($local, qq{SELECT pool_config.exec('$t', 'select 1');}, '08001', 'could not connect', "sec_S36: refused: $habit");
	unlike($e, qr/Canary/, 'sec_S36: and not repeated');
}
$target = habits('refuse=1');
fails_with($local, qq{SELECT pool_config.exec('$target', 'select 1');}, '08001', 'does not support SSL', 'sslmode=require at a server without TLS');
sql_ok($local, sprintf(q{SELECT pool_config.exec('%s', 'select 1')}, habits('refuse=1', sslmode => 'prefer')), 'SELECT 1', 'sslmode=prefer there');

# --- who does not read holds up nobody, and memory stays bounded
sub status
{
	my ($pid, $key) = @_;
	return slurp_file("/proc/$pid/status") =~ /^$key:\s+(\d+)/m ? $1 : -1;
}
{
	my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
	$target = habits('', size => 40);
	my $before = status($worker, 'VmRSS');
	my @stalled = map {
		start_psql($local, sprintf($large, $target, 60000) =~ s/from generate/from pg_sleep(3), generate/r)
	} 1 .. 20;
	poll_until('20 sessions wait for large answers', sub { $local->safe_psql('postgres', qq{SELECT in_use FROM pool_config.pools WHERE target = '$target'}) == 20 });
	my @pids = split /\n/, $local->safe_psql('postgres', qq{SELECT leased_by FROM pool_config.connections WHERE target = '$target' AND leased_by IS NOT NULL});
	kill 'STOP', @pids;
	my $rows = 6_000_000;
	my $busy = start_psql($local, qq{SELECT count(*), sum(length(b)) FROM pool_config.query('$target', 'select g, repeat(''x'', 170) from generate_series(1, $rows) g') AS t(a int, b text)});
	my $calls = 0;
	my $longest = 0;
	do
	{
		my $start = time;
		$calls++ if $local->safe_psql('postgres', qq{SELECT pool_config.exec('$target', 'select 1')}) eq 'SELECT 1';
		$longest = time - $start if time - $start > $longest;
	} while ($busy->{harness}->pumpable && $calls < 100);
	finish_psql($busy);
	is($busy->{out}, "$rows|" . $rows * 170 . "\n", 'a gigabyte arrives beside 20 sessions that do not read');
	cmp_ok($calls, '>', 5, sprintf('and other calls go on (%d, the longest took %.0f ms)', $calls, $longest * 1000));
	cmp_ok(status($worker, 'VmHWM') - $before, '<', 16384, 'the worker keeps little of what is not read (kB: ' . (status($worker, 'VmHWM') - $before) . ')');
	diag("stalls of the worker's loop, ms (99.9 %, longest): " . $local->safe_psql('postgres', 'SELECT stall_p999, stall_max FROM pool_config.workers'));
	kill 'CONT', @pids;
	$expected{60000} //= $plain->safe_psql('postgres',
		"select count(*), sum(g), md5(string_agg(repeat(md5(g::text), 1 + g % 50), '' ORDER BY g)) from generate_series(1, 60000) g");
	finish_psql($_) for @stalled;
	my $all = $expected{60000};
	is(scalar(grep { $_->{out} eq "$all\n" } @stalled), 20, 'the 20 read on, and miss nothing');
}

# --- a remote that does not read, and a local cancel
{
	my $t = habits('stall=1');
	my $start = time;
	fails_with($local, qq{SET pool_config.pool_timeout = 1; SELECT pool_config.exec('$t', 'select 1');}, '08001', 'within', 'a TLS server that falls silent in the login');
	$t = habits('stall=2000');
	fails_with($local, qq{SET statement_timeout = '700ms'; SELECT pool_config.exec('$t', 'select ' || quote_literal(repeat('x', 30000000)));}, '57014', 'statement timeout',
		'a statement that the remote does not read is cancelled at once');
	cmp_ok(time - $start, '<', 20, 'and nobody waits for it');
}
is($local->safe_psql('postgres', 'SELECT rescued FROM pool_config.workers'), '0', 'no wake-up was lost');
$tls->kill_kill;

done_testing();
