# NetworkRig: the network of test/lib/network.sh, for a test that runs in it.
#
#	my $rig = NetworkRig->new;				# undef where there is none
#	$rig->command('lose up');
#
# A server that it starts is at NetworkRig::remote, the test at NetworkRig::local.
package NetworkRig;

use strict;
use warnings;

use constant { local => '10.77.1.2', remote => '10.77.2.2' };

sub new
{
	my ($class) = @_;
	return $ENV{PCFG_NETWORK} ? bless({ folder => $ENV{PCFG_NETWORK}, started => [] }, $class) : undef;
}

sub command
{
	my ($self, $command) = @_;

	open(my $to, '>>', "$self->{folder}/requests") or die "the network rig: $!";
	print $to "$command\n";
	close $to;
	open(my $from, '<', "$self->{folder}/answers") or die "the network rig: $!";
	my $answer = readline $from;
	close $from;
	defined $answer && $answer =~ /^ok/ or die "the network rig: $command: " . ($answer // 'no answer');
	push @{ $self->{started} }, $1 if $command =~ /^start (.*)/;
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $!, $@);

	eval { $self->command('clear'); $self->command("stop $_") for @{ $self->{started} }; };
}

1;
