# HostileServer: something that answers like a PostgreSQL server, up to a point.
#
#	my $server = HostileServer->new(name => sub { my ($c) = @_; ... }, ...);
#	$server->port
#
# A client chooses the behaviour by the database that it asks for; the code runs
# in a process of its own when the start-up message was read, and the connection
# ends when it returns.  The server ends with the object.
#
# For the code, $c is the connection:
#
#	$c->log_in						a login without a password
#	$c->log_in_with_password		one that asks for it, in clear text
#	$c->read_series or return		waits for the next Sync
#	$c->say('Z', 'I')				sends a message
#	$c->raw($bytes)					sends bytes
#	$c->flood($bytes)				for ever
#	$c->answer("1", ...)			answers a series, with rows of one text column
#	$c->serve						answers "select" till the client goes
package HostileServer;

use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();

sub new
{
	my ($class, %behaviours) = @_;
	my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', Proto => 'tcp')
	  or die "could not listen: $!";
	my $self = bless { port => $listener->sockport, owner => $$ }, $class;

	$self->{pid} = fork // die "could not fork: $!";
	return $self if $self->{pid};
	setpgrp(0, 0);
	$SIG{CHLD} = 'IGNORE';
	$SIG{PIPE} = 'IGNORE';
	$SIG{$_} = 'DEFAULT' for qw(TERM INT);
	while (1)
	{
		my $socket = $listener->accept or next;
		my $pid = fork;
		if (defined $pid && $pid == 0)
		{
			close $listener;
			eval { serve_one($socket, \%behaviours); };
			POSIX::_exit(0);
		}
		close $socket;
	}
}

sub port { return $_[0]{port}; }

sub DESTROY
{
	my ($self) = @_;
	local ($?, $!);

	return if $$ != $self->{owner} || !$self->{pid};
	kill 'KILL', -$self->{pid};
	waitpid $self->{pid}, 0;
}

# --- a connection

sub serve_one
{
	my ($socket, $behaviours) = @_;
	my $c = bless { socket => $socket, in => '' }, 'HostileServer::Connection';

	$socket->autoflush(1);
	while (1)
	{
		my $len = unpack 'N', $c->read(4) // return;
		my $body = $c->read($len - 4) // return;
		my $code = unpack 'N', $body;
		return if $code == 80877102;
		if ($code == 80877103 || $code == 80877104)
		{
			# which database it will be is not known yet
			if (my $tls = $behaviours->{tls}) { $tls->($c); return; }
			$c->raw('N');
			next;
		}
		my %wanted = split /\0/, substr $body, 4;
		($behaviours->{ $wanted{database} } // return)->($c);
		return;
	}
}

package HostileServer::Connection;

use POSIX ();

sub raw
{
	my ($c, $bytes) = @_;
	my $socket = $c->{socket};

	while (length $bytes)
	{
		my $n = syswrite $socket, $bytes, 1 << 20;
		die "gone" unless $n;
		substr $bytes, 0, $n, '';
	}
}

# Sends the same bytes, as fast as they go, till the client is gone.
sub flood
{
	my ($c, $bytes) = @_;

	1 while syswrite $c->{socket}, $bytes;
}

sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', 4 + length $body) . $body;
}

sub say { my ($c, $type, $body) = @_; $c->raw(message($type, $body // '')); }

# So many bytes, or undef at the end.
sub read
{
	my ($c, $n) = @_;

	while (length $c->{in} < $n)
	{
		return undef unless sysread $c->{socket}, $c->{in}, 65536, length $c->{in};
	}
	return substr $c->{in}, 0, $n, '';
}

# The types of the messages up to Sync, or undef when the client is gone.
sub read_series
{
	my ($c) = @_;
	my $types = '';

	while (1)
	{
		my $head = $c->read(5) // return undef;
		my ($type, $len) = unpack 'a N', $head;
		$c->read($len - 4) // return undef if $len > 4;
		$types .= $type;
		return $types if $type eq 'S';
		return undef if $type eq 'X';
	}
}

sub greet
{
	my ($c, %parameters) = @_;

	%parameters = (server_version => '15.20', server_encoding => 'UTF8', client_encoding => 'UTF8',
		DateStyle => 'ISO, MDY', integer_datetimes => 'on', standard_conforming_strings => 'on', %parameters);
	$c->say('R', pack 'N', 0);
	$c->say('S', "$_\0$parameters{$_}\0") for sort keys %parameters;
	$c->say('K', pack 'NN', 4711, 42);
}

# The whole login, and the worker's proof that it came to its end.
sub log_in
{
	my ($c, %parameters) = @_;

	$c->greet(%parameters);
	$c->say('Z', 'I');
	$c->read_series // die 'gone';
	$c->say('Z', 'I');
}

sub log_in_with_password
{
	my ($c) = @_;

	$c->say('R', pack 'N', 3);
	my ($type, $len) = unpack 'a N', $c->read(5) // die 'gone';
	$c->{password} = $c->read($len - 4);
	$c->log_in;
}

sub columns
{
	my (@names) = @_;

	return pack('n', scalar @names) . join '', map { "$_\0" . pack('N n N n N n', 0, 0, 25, 65535, 0xffffffff, 0) } @names;
}

sub row
{
	return pack('n', scalar @_) . join '', map { pack('N', length $_) . $_ } @_;
}

# Answers one series, the reset in front of it included; "types" as read_series
# gave them.
sub answer
{
	my ($c, $types, @rows) = @_;

	$c->begin($types);
	$c->say('T', columns('x'));
	$c->say('2');
	$c->say('D', row($_)) for @rows;
	$c->say('C', 'SELECT ' . @rows . "\0");
	$c->say('Z', 'I');
}

# The answers up to where the columns are told.
sub begin
{
	my ($c, $types) = @_;

	while ($types =~ s/^PBE(?=.)//)
	{
		if ($types eq 'S') { return; }
		$c->raw(message('1', '') . message('2', '') . message('C', "DISCARD ALL\0"));
	}
	$c->raw(message('1', '') . message('t', pack 'n', 0));
}

# Has nothing to hide.
sub serve
{
	my ($c) = @_;

	while (defined(my $types = $c->read_series)) { $c->answer($types, '1'); }
}

# Does nothing until the client goes.
sub linger { my ($c) = @_; 1 while sysread $c->{socket}, my $bytes, 65536; }

1;
