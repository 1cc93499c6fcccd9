# A password that stands in a file of the server: who may name it, that it is
# read at each connect, and that it is nowhere else.
use strict;
use warnings;
use FaultProxy;
use File::Spec;
use PoolConfig;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote');
my $local  = start_local('local', "log_statement = 'all'");
my $folder = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir());
my $file   = "$folder/password";
my $call   = q{SELECT * FROM pool_config.query('crm', 'select current_user::text') AS t(u text)};

sub write_file
{
	my ($text) = @_;

	unlink $file;
	append_to_file($file, $text);
}

# --- who may name it
$local->safe_psql('postgres', sprintf(q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE carol LOGIN;
	GRANT pg_read_server_files TO carol;
	GRANT USAGE ON FOREIGN DATA WRAPPER pool_config TO alice, carol;
	SELECT pool_config.create_target('crm', 'postgresql://app@127.0.0.1:%d/postgres?sslmode=disable', connect_timeout => 2);
	GRANT USAGE ON FOREIGN SERVER crm TO alice, carol;
}, $remote->port));
my $alter = "ALTER USER MAPPING FOR PUBLIC SERVER crm OPTIONS (%s password_file '%s')";
fails_with($local, "SET ROLE alice; CREATE USER MAPPING FOR alice SERVER crm OPTIONS (user 'app', password_file '$file');",
	'42501', 'permission denied to set option "password_file"', 'a file of the server is not for everybody');
fails_with($local, sprintf($alter, 'ADD', 'password') . ';', 'HV024', 'absolute path', 'its path is whole');
fails_with($local, "ALTER SERVER crm OPTIONS (ADD password_file '$file');", 'HV00D', 'belongs to a user mapping',
	'it belongs to a mapping');
fails_with($local, "ALTER USER MAPPING FOR PUBLIC SERVER crm OPTIONS (ADD password 'x', ADD password_file '$file');",
	'HV00D', 'either a password or a password_file', 'a mapping has one password');
fails_with($local, q{SELECT pool_config.alter_target('crm', 'host=h password_file=/x');}, 'HV00D',
	'option of the user mapping', 'an address has none');
write_file("app-secret\n");
$local->safe_psql('postgres', sprintf($alter, 'ADD', $file));

# --- it is used
sql_ok($local, $call, 'app', 'its password serves a superuser');
sql_ok($local, "SET ROLE alice; $call", 'app', 'and others, as one in the mapping would');
$local->safe_psql('postgres', "SET ROLE carol; CREATE USER MAPPING FOR carol SERVER crm OPTIONS (user 'app', password_file '$file')");
sql_ok($local, "SET ROLE carol; $call", 'app', 'a member of pg_read_server_files may name it');
fails_with($local, "REVOKE pg_read_server_files FROM carol; SET ROLE carol; ALTER USER MAPPING FOR carol SERVER crm OPTIONS (SET user 'trusted');",
	'42501', 'permission denied to set option "password_file"', 'who may not name it cannot make it serve another user');

# --- read at each connect
sub reconnect
{
	$local->safe_psql('postgres', q{SELECT pool_config.recycle('crm')});
	$remote->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'});
	poll_until('no connection is left', sub {
		$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.connections WHERE target = 'crm'}) == 0;
	});
}

$remote->safe_psql('postgres', q{ALTER ROLE app PASSWORD 'second'});
write_file("second\r\n");
reconnect();
sql_ok($local, $call, 'app', 'a new password is used without a word to the server');
for my $bad (['', 'it is empty'], ["a\nb\n", 'not one line'], ["a\0b", 'not one line'], ['x' x 1100, 'too long'],
	[undef, 'No such file'], ['folder', 'not an ordinary file'], ['fifo', 'not an ordinary file'])
{
	my ($text, $reason) = @$bad;
	my $kind = $text // '';

	unlink $file;
	if    ($kind eq 'folder') { mkdir $file; }
	elsif ($kind eq 'fifo')   { POSIX::mkfifo($file, 0600); }
	elsif (defined $text)     { write_file($text); }
	reconnect();
	my $err = fails_with($local, "$call;", '08001', "password_file of the user mapping cannot be read: .*$reason",
		"a file that is of no use: $reason");
	unlike($err =~ s/^LINE.*//mr, qr/\Q$folder\E/, 'its place is not told');
	rmdir $file if $kind eq 'folder';
	unlink $file if $kind eq 'fifo';
}
write_file('second');
poll_until('it is read again by itself', sub {
	$local->psql('postgres', $call) == 0;
});

# --- it changes between being read and being looked at by the remote
my $proxy = FaultProxy->new($remote->port);
$local->safe_psql('postgres', sprintf(q{
	SELECT pool_config.create_target('behind', 'postgresql://app@127.0.0.1:%d/postgres?sslmode=disable', connect_timeout => 60, pool_timeout => 60);
	ALTER USER MAPPING FOR PUBLIC SERVER behind OPTIONS (ADD password_file '%s');
}, $proxy->port, $file));
my $held = $proxy->rule('up type p hold');
$remote->safe_psql('postgres', q{ALTER ROLE app PASSWORD 'third'});
my $run = start_psql($local, $call =~ s/crm/behind/r);
poll_until('the old password is on its way', sub { $proxy->fired($held) });
write_file('third');
$proxy->tell('release');
finish_psql($run);
is($run->{out}, "app\n", 'a password that was refused is read again, and the new one serves the same call') or diag($run->{err});
like(slurp_file($remote->logfile), qr/password authentication failed for user "app"/, 'the old one was refused');

# --- a wrong one stays wrong
write_file('wrong');
reconnect();
my $failures = () = slurp_file($remote->logfile) =~ /password authentication failed/g;
fails_with($local, "$call;", '08001', 'password of user "app" was refused', 'a wrong password is told');
my $more = () = slurp_file($remote->logfile) =~ /password authentication failed/g;
is($more - $failures, 1, 'and was tried once');

# --- it is nowhere
my $dump = $local->backup_dir . '.sql';
$local->command_ok([ 'pg_dump', '-f', $dump, $local->connstr('postgres') ], 'pg_dump');
my $dumped = slurp_file($dump);
like($dumped, qr/password_file/, 'a dump has the name of the file');
for my $secret ('app-secret', 'second', 'third', 'wrong')
{
	unlike($dumped, qr/\b$secret\b/, "and not $secret");
	is($local->safe_psql('postgres', "SELECT count(*) FROM pg_user_mappings WHERE umoptions::text LIKE '%$secret%'"), 0,
		"nor has a catalog $secret");
}
done_testing();
