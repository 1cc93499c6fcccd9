# FaultProxy: test/lib/fault_proxy for TAP tests.
#
#	my $proxy = FaultProxy->new($remote->port);		# one port in front of it
#	$proxy->port										# to be dialled
#	my $rule = $proxy->rule('down message 3 cut fin');	# see fault_proxy
#	$proxy->fired($rule)
#	$proxy->tell('delay', 'both 2')
#	$proxy->count->{trips}
#
# The proxy ends with the object.
package FaultProxy;

use strict;
use warnings;
use FindBin;
use IO::Handle;
use IO::Select;
use IPC::Open2;

sub new
{
	my ($class, $remote_port) = @_;
	my $self = bless {}, $class;

	$self->{pid} = open2($self->{from}, $self->{to}, $^X, "$FindBin::Bin/../lib/fault_proxy");
	$self->{to}->autoflush(1);
	$self->{port} = $self->command("listen a 127.0.0.1:$remote_port");
	return $self;
}

sub port { return $_[0]{port}; }

# Sends a command and returns its answer.
sub command
{
	my ($self, $command) = @_;
	my $out = $self->{to};

	print $out "$command\n" or die "the proxy is gone: $!";
	IO::Select->new($self->{from})->can_read(60) or die "the proxy does not answer: $command";
	my $answer = readline $self->{from};
	defined $answer or die "the proxy ended: $command";
	chomp $answer;
	$answer =~ s/^ok ?// or die "the proxy says: $answer ($command)";
	return $answer;
}

# A command to its one port.
sub tell
{
	my ($self, $verb, $rest) = @_;

	return $self->command("$verb a" . (defined $rest ? " $rest" : ''));
}

sub rule  { return $_[0]->tell('rule', $_[1]); }
sub fired { return $_[0]->command("fired $_[1]"); }
sub clear { return $_[0]->tell('clear'); }

sub count
{
	my ($self) = @_;

	return { map { split /=/ } split ' ', $self->tell('count') };
}

# The types of the messages since "transcript on", "up:P up:S down:1 ...".
sub transcript
{
	my ($self) = @_;

	return join ' ', map { (split)[1] . ':' . (split)[2] } split /; /, $self->tell('transcript', 'show');
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $!);

	close $self->{to};
	close $self->{from};
	waitpid $self->{pid}, 0;
}

1;
