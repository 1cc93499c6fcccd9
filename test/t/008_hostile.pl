# A remote that is broken or an enemy: whatever it says, its caller gets a clean
# error in time, the worker stays the same and within its memory, and others
# are served.
use strict;
use warnings;
use HostileServer;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $local  = start_local('local', 'client_min_messages = error', 'log_min_messages = warning');
my $remote = start_remote('remote');
make_target($local, $remote, 'good');

*message = \&HostileServer::Connection::message;
*columns = \&HostileServer::Connection::columns;
*row     = \&HostileServer::Connection::row;

my $forged = "Mbad\n2026-01-01 00:00:00 UTC [1] LOG:  forged line\r\n\e[31mred\e]0;title\a\x9b\x7f";

# --- before the login is complete: code, and the SQLSTATE if it is not 08001
my %logins = (
	'garbage'                       => [ sub { $_[0]->raw("\x01\x02\xff\xfe" x 64) } ],
	'another protocol'              => [ sub { $_[0]->raw("HTTP/1.1 400 Bad Request\r\n\r\n") } ],
	'nothing but the end'           => [ sub { } ],
	'an error without fields'       => [ sub { $_[0]->say('E', "\0") } ],
	'an error of no bytes'          => [ sub { $_[0]->say('E', '') } ],
	'an error without an end'       => [ sub { $_[0]->say('E', "SFATAL\0Mno end") } ],
	'a forged error'                => [ sub { $_[0]->say('E', "SFATAL\0C28000\0$forged\0\0") } ],
	'a forged detail'               => [ sub { $_[0]->say('E', "SFATAL\0C28000\0Mbad\0D$forged\0H$forged\0\0") } ],
	'a length of 2^31-1'            => [ sub { $_[0]->raw("R\x7f\xff\xff\xff\0\0\0\0"); $_[0]->linger } ],
	'a length of 2^32-1'            => [ sub { $_[0]->raw("R\xff\xff\xff\xff\0\0\0\0"); $_[0]->linger } ],
	'a length of 2'                 => [ sub { $_[0]->raw("R\0\0\0\2"); $_[0]->linger } ],
	'a notice of 2^31-1'            => [ sub { $_[0]->raw("N\x7f\xff\xff\xff"); $_[0]->linger } ],
	'half of a login'               => [ sub { $_[0]->raw("R\0\0\0") } ],
	'silence'                       => [ sub { $_[0]->linger } ],
	'silence behind its approval'   => [ sub { $_[0]->greet; $_[0]->linger } ],
	'the end behind its approval'   => [ sub { $_[0]->greet } ],
	'one byte at a time'            => [ sub { my $c = shift; for (split //, message('R', pack 'N', 0) x 100) { $c->raw($_); sleep 0.2; } } ],
	'an unknown way to log in'      => [ sub { $_[0]->say('R', pack 'N', 99); $_[0]->linger } ],
	'a login by Kerberos'           => [ sub { $_[0]->say('R', pack 'N', 7); $_[0]->linger } ],
	'SCRAM of no mechanism'         => [ sub { $_[0]->say('R', pack('N', 10) . "\0"); $_[0]->linger } ],
	'SCRAM with a bad nonce'        => [ sub { $_[0]->say('R', pack('N', 10) . "SCRAM-SHA-256\0\0"); $_[0]->read(5);
			$_[0]->say('R', pack('N', 11) . 'r=' . 'x' x 100_000 . ',s=AAAA,i=4096'); $_[0]->linger } ],
	'no end of notices'             => [ sub { $_[0]->flood(message('N', "SNOTICE\0C00000\0Mhello\0\0") x 10_000) } ],
	'no end of parameters'          => [ sub { $_[0]->say('R', pack 'N', 0); $_[0]->flood(message('S', "a\0b\0") x 10_000) } ],
	'a parameter without an end'    => [ sub { $_[0]->greet; $_[0]->say('S', 'noend'); $_[0]->say('Z', 'I'); $_[0]->linger } ],
	'half a parameter behind its end' => [ sub { $_[0]->greet; $_[0]->raw(message('Z', 'I') . "S\0\0\0\x11TimeZ");
			$_[0]->read_series; $_[0]->raw("one\0UTC\0" . message('Z', 'I')); $_[0]->serve } ],
	'two ends'                      => [ sub { $_[0]->greet; $_[0]->say('Z', 'I') for 1 .. 2; $_[0]->serve }, '(?:right|08001|08P01)' ],
	'an answer nobody asked for'    => [ sub { $_[0]->greet; $_[0]->raw(message('Z', 'I') . message('1', '')); $_[0]->linger } ],
	'an open transaction'           => [ sub { $_[0]->greet; $_[0]->say('Z', 'I'); $_[0]->read_series; $_[0]->say('Z', 'T'); $_[0]->linger } ],
	'another encoding'              => [ sub { $_[0]->greet(client_encoding => 'LATIN1'); $_[0]->say('Z', 'I'); $_[0]->linger } ],
	'no encoding'                   => [ sub { $_[0]->say('R', pack 'N', 0); $_[0]->say('Z', 'I'); $_[0]->linger } ],
	'silence at the proof'          => [ sub { $_[0]->greet; $_[0]->say('Z', 'I'); $_[0]->linger } ],
	'a long message at the proof'   => [ sub { $_[0]->greet; $_[0]->say('Z', 'I'); $_[0]->read_series; $_[0]->raw("N\x3f\xff\xff\xff" . 'x' x 200_000); $_[0]->linger } ],
	'no end of notices at the proof' => [ sub { $_[0]->greet; $_[0]->say('Z', 'I'); $_[0]->read_series; $_[0]->flood(message('N', "\0") x 100_000); } ],
	'COPY at the proof'             => [ sub { $_[0]->greet; $_[0]->say('Z', 'I'); $_[0]->read_series; $_[0]->say('W', "\0\0\0"); $_[0]->linger } ],
);

# --- in answer to a statement: code behind the login, and the SQLSTATE
my $flood = 1_000_000;
my %answers = (
	'garbage'                    => [ sub { $_[0]->raw("\x01\x02\xff\xfe" x 64); $_[0]->linger }, '08P01' ],
	'a length of 2^31-1'         => [ sub { $_[0]->begin($_[1]); $_[0]->raw("T\x7f\xff\xff\xff"); $_[0]->linger }, '08P01' ],
	'a length of 2^32-1'         => [ sub { $_[0]->begin($_[1]); $_[0]->raw("T\xff\xff\xff\xff"); $_[0]->linger }, '08P01' ],
	'a length of 2^31'           => [ sub { $_[0]->begin($_[1]); $_[0]->raw("T\x80\0\0\0"); $_[0]->linger }, '08P01' ],
	'a length of 3'              => [ sub { $_[0]->begin($_[1]); $_[0]->raw("T\0\0\0\3"); $_[0]->linger }, '08P01' ],
	'a row of a gigabyte that does not come' => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', columns('x')); $_[0]->say('2');
			$_[0]->raw("D\x3f\xff\xff\xf0" . 'x' x 100_000); $_[0]->linger }, '57014' ],
	'a row of more than a gigabyte' => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', columns('x')); $_[0]->say('2');
			$_[0]->raw("D\x60\0\0\0" . 'x' x 100_000); $_[0]->linger }, '08P01' ],
	'more columns than declared, and silence' => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', columns('x', 'y')); $_[0]->linger }, '42804' ],
	'columns less than told'     => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', pack('n', 5) . substr columns('x'), 2); $_[0]->linger }, '08P01' ],
	'columns more than told'     => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', pack('n', 0) . substr columns('x'), 2); $_[0]->linger }, '08P01' ],
	'65535 columns'              => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', pack('n', 65535)); $_[0]->linger }, '08P01' ],
	'a column name without an end' => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', pack('n', 1) . 'x' x 50); $_[0]->linger }, '08P01' ],
	'columns twice'              => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', columns('x')) for 1 .. 2; $_[0]->linger }, '08P01' ],
	'two columns for one'        => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', columns('x', 'y'));
		$_[0]->say('E', "SERROR\0C08P01\0Mbind message has 1 result formats but query has 2 columns\0\0"); $_[0]->say('Z', 'I'); $_[0]->linger }, '42804' ],
	'a row before its columns'   => [ sub { $_[0]->begin($_[1]); $_[0]->say('D', row('1')); $_[0]->linger }, '08P01' ],
	'a row of no columns'        => [ sub { with_row($_[0], $_[1], pack 'n', 0) }, '08P01' ],
	'a row of two columns'       => [ sub { with_row($_[0], $_[1], row('1', '2')) }, '08P01' ],
	'a row of 65535 columns'     => [ sub { with_row($_[0], $_[1], pack('n', 65535) . "\xff\xff\xff\xff") }, '08P01' ],
	'a row that ends early'      => [ sub { with_row($_[0], $_[1], pack('n N', 1, 100) . 'abc') }, '08P01' ],
	'a row that goes on'         => [ sub { with_row($_[0], $_[1], row('1') . 'more') }, '08P01' ],
	'a value of 2^31-1'          => [ sub { with_row($_[0], $_[1], pack('n N', 1, 0x7fffffff) . 'abc') }, '08P01' ],
	'a value of 2^32-2'          => [ sub { with_row($_[0], $_[1], pack('n N', 1, 0xfffffffe) . 'abc') }, '08P01' ],
	'a value that is no text'    => [ sub { with_row($_[0], $_[1], row("\xff\xfe")) }, '22021' ],
	'a value with a zero byte'   => [ sub { with_row($_[0], $_[1], row("a\0b")) }, '(?:22021|08P01)' ],
	'a value cut in a character' => [ sub { with_row($_[0], $_[1], row("abc\xe2\x82")) }, '22021' ],
	'a tag without an end'       => [ sub { with_row($_[0], $_[1], row('1'), message('C', 'SELECT 1')) }, '08P01' ],
	'a tag of two strings'       => [ sub { with_row($_[0], $_[1], row('1'), message('C', "SELECT 1\0more\0")) }, '08P01' ],
	'a tag of nothing'           => [ sub { with_row($_[0], $_[1], row('1'), message('C', '')) }, '08P01' ],
	'a tag that is no text'      => [ sub { with_row($_[0], $_[1], row('1'), message('C', "\xff\xfe\0")) }, '08P01' ],
	'an end of no status'        => [ sub { with_row($_[0], $_[1], row('1'), message('C', "SELECT 1\0") . message('Z', '')) }, '08P01' ],
	'an end of an odd status'    => [ sub { with_row($_[0], $_[1], row('1'), message('C', "SELECT 1\0") . message('Z', 'Q')) }, '08P01' ],
	'an early end'               => [ sub { $_[0]->say('Z', 'I'); $_[0]->linger }, '08P01' ],
	'an error without fields'    => [ sub { $_[0]->raw(message('E', "\0") . message('Z', 'I')); $_[0]->linger }, 'XX000' ],
	'an error of no bytes'       => [ sub { $_[0]->raw(message('E', '') . message('Z', 'I')); $_[0]->linger }, '08P01' ],
	'an error without an end'    => [ sub { $_[0]->raw(message('E', "SERROR\0Mno end") . message('Z', 'I')); $_[0]->linger }, '08P01' ],
	'an error without SQLSTATE'  => [ sub { $_[0]->raw(message('E', "SERROR\0Mmessage\0\0") . message('Z', 'I')); $_[0]->linger }, 'XX000' ],
	'an error with an odd SQLSTATE' => [ sub { $_[0]->raw(message('E', "SERROR\0C00\n00\0Mmessage\0\0") . message('Z', 'I')); $_[0]->linger }, 'XX000' ],
	'an error of success'        => [ sub { $_[0]->raw(message('E', "SERROR\0C00000\0Mmessage\0\0") . message('Z', 'I')); $_[0]->linger }, 'XX000' ],
	'an error that is no text'   => [ sub { $_[0]->raw(message('E', "SERROR\0C22012\0M\xff\xfe\0D\xc3\0\0") . message('Z', 'I')); $_[0]->linger }, '22012' ],
	'an error of a PANIC'        => [ sub { $_[0]->raw(message('E', "SPANIC\0VPANIC\0CXX001\0Mpanic\0\0") . message('Z', 'I')); $_[0]->linger }, 'XX001' ],
	'an error with a far position' => [ sub { $_[0]->raw(message('E', "SERROR\0C42601\0Mx\0P2147483647\0\0") . message('Z', 'I')); $_[0]->linger }, '42601' ],
	'an error of 20 MB'          => [ sub { $_[0]->raw(message('E', "SERROR\0C42601\0M" . 'x' x 20_000_000 . "\0\0") . message('Z', 'I')); $_[0]->linger }, '42601' ],
	'two errors'                 => [ sub { $_[0]->raw(message('E', "SERROR\0C22012\0Mx\0\0") x 2 . message('Z', 'I')); $_[0]->linger }, '08P01' ],
	'COPY in'                    => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', columns('x')); $_[0]->say('2'); $_[0]->say('G', "\0\0\0"); $_[0]->linger }, '0A000' ],
	'COPY both'                  => [ sub { $_[0]->begin($_[1]); $_[0]->say('T', columns('x')); $_[0]->say('2'); $_[0]->say('W', "\0\0\0"); $_[0]->linger }, '0A000' ],
	'a function result'          => [ sub { $_[0]->begin($_[1]); $_[0]->say('V', "\xff\xff\xff\xff"); $_[0]->linger }, '08P01' ],
	'a request for a password'   => [ sub { $_[0]->begin($_[1]); $_[0]->say('R', pack 'N', 3); $_[0]->linger }, '08P01' ],
	'another encoding'           => [ sub { $_[0]->begin($_[1]); $_[0]->say('S', "client_encoding\0LATIN1\0"); $_[0]->linger }, '08P01' ],
	'a parameter without an end' => [ sub { $_[0]->begin($_[1]); $_[0]->say('S', 'noend'); $_[0]->linger }, '08P01' ],
	'a flood of notices'         => [ sub { $_[0]->begin($_[1]); $_[0]->raw(message('N', "SNOTICE\0C00000\0Mhello\0\0") x 1000) for 1 .. 200; end_well(@_) }, 'right' ],
	'a million parameters'       => [ sub { $_[0]->begin($_[1]); $_[0]->raw(message('S', "a\0b\0") x 1000) for 1 .. $flood / 1000; end_well(@_) }, 'right' ],
	'a million notifications'    => [ sub { $_[0]->begin($_[1]); $_[0]->raw(message('A', "\0\0\0\1c\0p\0") x 1000) for 1 .. $flood / 1000; end_well(@_) }, 'right' ],
	'no end of notices'          => [ sub { $_[0]->flood(message('N', "SNOTICE\0C00000\0Mhello\0\0") x 10_000) }, '57014' ],
	'no end of parameters'       => [ sub { $_[0]->flood(message('S', "a\0b\0") x 10_000) }, '57014' ],
	'notices that are no text'   => [ sub { $_[0]->begin($_[1]); $_[0]->say('N', "SNOTICE\0C\xff\0M\xff\xfe\0\0"); end_well(@_) }, 'right' ],
	'a notice without an end'    => [ sub { $_[0]->begin($_[1]); $_[0]->say('N', "SNOTICE\0M\xff"); end_well(@_) }, '(?:right|08P01)' ],
	'the end'                    => [ sub { }, '08006' ],
	'half of a message'          => [ sub { $_[0]->begin($_[1]); $_[0]->raw("T\0\0\0\x20\0\1x") }, '08006' ],
	'silence'                    => [ sub { $_[0]->linger }, '57014' ],
);

# One row, one message behind it.
sub with_row
{
	my ($c, $types, $row, $end) = @_;

	$c->begin($types);
	$c->say('T', columns('x'));
	$c->say('2');
	$c->say('D', $row);
	$c->raw($end // message('C', "SELECT 1\0") . message('Z', 'I'));
	$c->linger;
}

sub end_well
{
	my ($c) = @_;

	$c->say('T', columns('x'));
	$c->say('2');
	$c->say('D', row('1'));
	$c->raw(message('C', "SELECT 1\0") . message('Z', 'I'));
	$c->linger;
}

my %behaviours = (well => sub { $_[0]->log_in; $_[0]->serve });
my @cases;
for my $what (sort keys %logins)
{
	my $name = 'login' . @cases;
	$behaviours{$name} = $logins{$what}[0];
	push @cases, [ $name, "at login: $what", $logins{$what}[1] // '08001' ];
}
for my $what (sort keys %answers)
{
	my $name = 'answer' . @cases;
	my $code = $answers{$what}[0];
	$behaviours{$name} = sub {
		my ($c) = @_;
		$c->log_in;
		$code->($c, $c->read_series // return);
	};
	push @cases, [ $name, "in answer: $what", $answers{$what}[1] ];
}
my $server = HostileServer->new(%behaviours);

sub target
{
	my ($name, $port) = @_;

	$local->safe_psql('postgres', sprintf(
			q{SELECT pool_config.create_target('%s', 'postgresql://u:p@127.0.0.1:%d/%s?sslmode=disable', connect_timeout => 0.25, settings => '{"pooler": "none"}')},
			$name, $port, $name));
}

sub call
{
	my ($name) = @_;
	my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '2s';\n"
		  . "SELECT * FROM pool_config.query('$name', 'select 1') AS t(x text);");

	return ($out eq '1' ? 'right' : $out ne '' ? "wrong: $out" : $err =~ /ERROR:  (\w{5}):/ ? $1 : "? $err", $err);
}

sub memory
{
	my ($pid) = @_;

	return slurp_file("/proc/$pid/status") =~ /VmHWM:\s+(\d+)/ ? $1 : 0;
}

target('well', $server->port);
is((call('well'))[0], 'right', 'this server can behave');
my $worker = $local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers');
my $before = memory($worker);
for my $case (@cases)
{
	my ($name, $what, $expected) = @$case;
	target($name, $server->port);

	# a remote that never stops talking keeps the worker from nothing
	if ($what =~ /no end of/)
	{
		my $run = start_psql($local, "SET statement_timeout = '1s'; SELECT pool_config.exec('$name', 'select 1')");
		make_target($local, $remote, 'fresh');
		my $start = time;
		is((call('fresh'))[0], 'right', "sec_S33: $what: meanwhile the worker connects");
		cmp_ok(time - $start, '<', 1, "$what: at once");
		$local->safe_psql('postgres', q{SELECT pool_config.drop_target('fresh')});
		finish_psql($run);
	}
	my $start = time;
	my ($result, $err) = call($name);
	my $took = time - $start;
	my ($other) = call('good');

	like($result, qr/^$expected$/, "sec_S32: $what") or diag($err);
	cmp_ok($took, '<', 4, "$what: in time");
	is($other, 'right', "$what: others are served");
	unlike($err, qr/[\x01-\x08\x0b-\x1f\x7f]|\n\d{4}-/, "$what: no forged lines, nothing for a terminal") if $what =~ /forged/;
	$local->safe_psql('postgres', "SELECT pool_config.drop_target('$name')");
}
is($local->safe_psql('postgres', 'SELECT pid FROM pool_config.workers'), $worker, 'the worker is the same');
cmp_ok(memory($worker) - $before, '<', 8192, 'its memory never grew by more than 8 MB (kB: ' . (memory($worker) - $before) . ')');
poll_until('nothing is leased, nobody waits', sub {
	$local->safe_psql('postgres', q{SELECT count(*) FROM pool_config.pools WHERE in_use + connecting + waiting > 0}) == 0;
});
my $log = slurp_file($local->logfile);
unlike($log, qr/^2026-01-01 00:00:00 UTC \[1\] LOG:  forged line/m, 'sec_S36: no line in the log is forged');
unlike($log, qr/[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]/, 'nor does it hold control characters');
unlike($log, qr/was terminated by signal|PANIC|TRAP/, 'nobody crashed');

# --- bytes behind the answer to the request for TLS are not taken for an answer in it
for my $bytes ("S" . message('E', "SFATAL\0C28000\0Minjected\0\0"), "N" . message('R', pack 'N', 0) . message('Z', 'I'), 'E' . "\0\0\0\x09Minj\0")
{
	my $tls = HostileServer->new(tls => sub { $_[0]->raw($bytes); $_[0]->linger });
	$local->safe_psql('postgres', sprintf(
			q{SELECT pool_config.create_target('tls', 'postgresql://u:p@127.0.0.1:%d/x?sslmode=require', connect_timeout => 0.25)}, $tls->port));
	my ($result, $err) = call('tls');
	is($result, '08001', 'sec_S35: bytes behind the TLS answer ' . substr($bytes, 0, 1) . ' end the login');
	unlike($err, qr/inj/, 'and are not shown');
	$local->safe_psql('postgres', q{SELECT pool_config.drop_target('tls')});
}

done_testing();
