# NameServer: a name server for a test, at an address and port 53.
#
#	my $server = NameServer->new('127.0.0.2', 'db.example.test' => [ '127.0.0.1' ]);
#	NameServer->new('127.0.0.3')			# says nothing
#
# It knows addresses of IPv4 only; questions for others are not answered where
# "silent_for_ipv6" is among its names.  It ends with the object.
package NameServer;

use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Socket qw(inet_aton);

sub new
{
	my ($class, $address, %names) = @_;
	my $socket = IO::Socket::INET->new(LocalAddr => $address, LocalPort => 53, Proto => 'udp')
	  or die "could not listen at $address: $!";
	my $self = bless { owner => $$ }, $class;

	$self->{pid} = fork // die "could not fork: $!";
	if ($self->{pid} == 0)
	{
		while (defined $socket->recv(my $packet, 512))
		{
			my $reply = answer($packet, \%names);
			$socket->send($reply) if defined $reply;
		}
		POSIX::_exit(0);
	}
	return $self;
}

# The reply to a packet; undef = none.
sub answer
{
	my ($packet, $names) = @_;
	my ($id, undef, $n) = unpack 'nnn', $packet;
	my ($labels, @name) = substr($packet, 12);

	while ((my $len = unpack 'C', $labels) > 0)
	{
		push @name, substr($labels, 1, $len);
		$labels = substr($labels, 1 + $len);
	}
	my ($type) = unpack 'x n', $labels;
	my $name = join '.', @name;
	my $question = substr($packet, 12, length($name) + 6);
	return if !%$names || ($type != 1 && $names->{silent_for_ipv6});
	my @found = $type == 1 ? @{ $names->{$name} // [] } : ();
	# recursion was asked for and done; 3 = there is no such name
	return pack('n6', $id, 0x8180 | ($names->{$name} ? 0 : 3), 1, scalar(@found), 0, 0) . $question
	  . join '', map { pack('n3 N n', 0xc00c, 1, 1, 1, 4) . inet_aton($_) } @found;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $!);

	return if $self->{owner} != $$;
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
}

1;
