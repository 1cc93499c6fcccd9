# PoolConfig: what the TAP tests share: servers, targets, polling.
package PoolConfig;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

our @EXPORT = qw(
  start_local start_remote make_target poll_until fails_with sql_ok
  remote_sessions run_together start_psql finish_psql kill_psql open_psql say_to talk close_psql
  $sslmode $transport make_certificates start_tls_server
);

# Tests that say "Both transports" in their head are run twice by test/run: over
# plain sockets that are lent, and over TLS, which is relayed.
our $transport = $ENV{PCFG_TEST_TRANSPORT} // 'direct';
our $sslmode   = $transport eq 'relay' ? 'require' : 'disable';

# For initdb, whatever the environment and the version make of none.
my @utf8 = ('--encoding=UTF8', '--locale=C');

# Seconds that a wait may take before the test gives up.
our $patience = 60;

my $remotes = 0;

# The server that people are connected to: the extension is preloaded and
# created.  More lines of postgresql.conf may be given.
sub start_local
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 1, extra => \@utf8);
	$node->append_conf('postgresql.conf', join("\n",
			"shared_preload_libraries = 'pool_config'",
			'max_connections = 100', 'log_min_messages = debug1', 'fsync = off', @conf));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pool_config');
	return $node;
}

# A certificate authority, certificates of it for a server (localhost,
# 127.0.0.1) and for a client (CN=app), a server certificate that has expired,
# and another authority; in the folder given.
sub make_certificates
{
	my ($dir) = @_;
	my $openssl = sub {
		my @command = ('openssl', @_);
		my ($out, $err) = ('', '');
		IPC::Run::run(\@command, '<', '/dev/null', '>', \$out, '2>', \$err) or die "@command: $err";
	};

	append_to_file("$dir/san.cnf", "subjectAltName = DNS:localhost, IP:127.0.0.1\n");
	for my $ca ('ca', 'other_ca')
	{
		$openssl->(qw(req -new -x509 -days 30 -nodes -newkey rsa:2048), '-subj', "/CN=$ca",
			'-out', "$dir/$ca.crt", '-keyout', "$dir/$ca.key");
	}
	for my $cert ([ 'server', 'localhost', 30 ], [ 'expired', 'localhost', 0 ], [ 'client', 'app', 30 ])
	{
		my ($name, $cn, $days) = @$cert;
		$openssl->(qw(req -new -nodes -newkey rsa:2048), '-subj', "/CN=$cn",
			'-out', "$dir/$name.csr", '-keyout', "$dir/$name.key");
		$openssl->(qw(x509 -req -CAcreateserial), '-in', "$dir/$name.csr", '-days', $days,
			'-CA', "$dir/ca.crt", '-CAkey', "$dir/ca.key", '-out', "$dir/$name.crt",
			$name eq 'client' ? () : ('-extfile', "$dir/san.cnf"));
	}
	chmod 0600, glob("$dir/*.key");
}

# TLS in front of a port (see tls_server.c), with certificates in that folder;
# returns the harness, its port, and the name of its control file.
sub start_tls_server
{
	my ($dir, $port, $out) = @_;
	my $program = "$dir/tls_server";
	my $source  = __FILE__ =~ s/PoolConfig\.pm$/tls_server.c/r;
	my $tls_port = PostgreSQL::Test::Cluster::get_free_port();
	my $unread   = '';

	make_certificates($dir) if !-e "$dir/server.crt";
	system('cc', '-o', $program, $source, '-lssl', '-lcrypto') == 0 or die 'tls_server was not built';
	append_to_file("$program.control", '');
	my $run = IPC::Run::start([ $program, $tls_port, $port, "$dir/server.crt", "$dir/server.key", "$program.control" ],
		'<', '/dev/null', '>', $out // \$unread);
	return ($run, $tls_port, "$program.control");
}

# The server that is called: TCP on loopback, SCRAM login, role "app" with
# password "app-secret", and logged connections; TLS is on where the test runs
# over it.
sub start_remote
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, own_host => 0);
	my $port = PostgreSQL::Test::Cluster::get_free_port();

	$node->init(extra => \@utf8);
	$node->append_conf('postgresql.conf', join("\n",
			"listen_addresses = '127.0.0.1'", 'max_connections = 60',
			'log_connections = on', 'log_disconnections = on', 'fsync = off',
			"password_encryption = 'scram-sha-256'", @conf));
	if ($transport eq 'relay')
	{
		make_certificates($node->data_dir);
		$node->append_conf('postgresql.conf', 'ssl = on');
	}
	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf',
		"local all all trust\nhost all trusted 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256");
	$node->start;
	$node->safe_psql('postgres', q{
		CREATE ROLE app LOGIN PASSWORD 'app-secret';
		CREATE ROLE trusted LOGIN PASSWORD 'app-secret';
		GRANT ALL ON SCHEMA public TO app;
	});
	return $node;
}

# A target of the remote; further arguments are those of create_target, or user,
# password and port (of something that stands in front of the remote).
sub make_target
{
	my ($local, $remote, $target, %options) = @_;
	my $user     = delete $options{user}     // 'app';
	my $password = delete $options{password} // 'app-secret';
	my $port     = delete $options{port}     // $remote->port;
	my $url      = sprintf('postgresql://%s:%s@127.0.0.1:%d/postgres?sslmode=%s',
		$user, $password, $port, delete $options{sslmode} // $sslmode);
	my $more = join('', map { ", $_ => $options{$_}" } sort keys %options);

	$local->safe_psql('postgres', "SELECT pool_config.create_target('$target', '$url'$more)");
}

# Calls the code until it returns true, for a bounded time.
sub poll_until
{
	my ($what, $code, $limit) = @_;
	my $deadline = time + ($limit // $patience);

	until ($code->())
	{
		if (time > $deadline)
		{
			fail($what);
			diag("gave up waiting: $what");
			return 0;
		}
		sleep 0.02;
	}
	return pass($what);
}

# The statement fails with that SQLSTATE and a text like the pattern.
sub fails_with
{
	my ($node, $sql, $sqlstate, $pattern, $what, %options) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql",
		on_error_stop => 0, %options);

	like($err, qr/ERROR:  \Q$sqlstate\E: .*$pattern/s, $what);
	return $err;
}

# The statement gives that output.
sub sql_ok
{
	my ($node, $sql, $expected, $what, %options) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, %options);

	is($out, $expected, $what) or diag($err);
}

# Client sessions at the remote that are of the pool.
sub remote_sessions
{
	my ($remote, $condition) = @_;

	return $remote->safe_psql('postgres', q{
		SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND application_name = 'pool_config' } .
		  ($condition ? " AND $condition" : ''));
}

# A psql that runs in the background on one script, and needs no attention.
sub start_psql
{
	my ($node, $sql, %options) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	my $run = { out => '', err => '' };

	append_to_file($file, $sql);
	$run->{harness} = IPC::Run::start(
		[ 'psql', '-XqAt', '-d', $node->connstr($options{database} // 'postgres')
			  . ($options{user} ? " user=$options{user}" : ''), '-f', $file ],
		'<', '/dev/null', '>', \$run->{out}, '2>', \$run->{err},
		IPC::Run::timeout($patience * 3));
	return $run;
}

sub finish_psql
{
	my ($run) = @_;

	eval { $run->{harness}->finish; };
	$run->{err} .= $@ if $@;
	return $run;
}

sub kill_psql
{
	my ($run) = @_;

	$run->{harness}->kill_kill;
	return $run;
}

# A psql that is talked to: talk() gives what a statement printed, errors too.
sub open_psql
{
	my ($node, %options) = @_;
	my $run = { in => '', out => '', err => '', n => 0 };

	$run->{harness} = IPC::Run::start(
		[ 'psql', '-XqAt', '-d', $node->connstr($options{database} // 'postgres')
			  . ($options{user} ? " user=$options{user}" : '') ],
		'<', \$run->{in}, '>', \$run->{out}, '2>', \$run->{err},
		IPC::Run::timeout($patience * 10));
	talk($run, '\set VERBOSITY verbose');
	return $run;
}

sub say_to
{
	my ($run, $sql) = @_;

	$sql .= ';' unless $sql =~ /^(\\.*|\s*)$|;\s*$/;
	$run->{in} .= "$sql\n";
	$run->{harness}->pump_nb;
	return $run;
}

sub talk
{
	my ($run, $sql) = @_;
	my $mark = 'told ' . ++$run->{n};

	say_to($run, $sql);
	$run->{in} .= "\\echo $mark\n\\warn $mark\n";
	$run->{harness}->pump
	  until $run->{out} =~ /^\Q$mark\E\n/m && $run->{err} =~ /^\Q$mark\E\n/m;
	my $told = "$run->{out}$run->{err}";
	$run->{out} = $run->{err} = '';
	$told =~ s/^\Q$mark\E\n//mg;
	chomp $told;
	return $told;
}

sub close_psql
{
	my ($run) = @_;

	$run->{in} .= "\\q\n";
	eval { $run->{harness}->finish; };
}

# Many sessions at once, one for each script; returns their runs.
sub run_together
{
	my ($node, @scripts) = @_;
	my @runs = map { start_psql($node, $_) } @scripts;

	return map { finish_psql($_) } @runs;
}

1;
