# Values of every type, as declared and otherwise, beside dblink; dates and
# numbers under every style on either side; encodings; large values.
use strict;
use warnings;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote');
my $local  = start_local('local', 'max_connections = 40');
make_target($local, $remote, 'crm');
$local->safe_psql('postgres', 'CREATE EXTENSION dblink; CREATE ROLE app');
my $conninfo = sprintf('host=127.0.0.1 port=%d user=app password=app-secret dbname=postgres sslmode=disable', $remote->port);

# Values of each built-in type, as its input function takes them.
my %samples = (
	bool => [ 't', 'f' ],
	bytea => [ '\x', '\x00ff5c0a', '\x' . 'ab' x 5000 ],
	char => [ 'x', '' ],
	name => [ 'a name', '' ],
	int8 => [ '0', '-9223372036854775808', '9223372036854775807' ],
	int2 => [ '-32768', '32767' ],
	int2vector => [ '1 2 3' ],
	int4 => [ '-2147483648', '2147483647', '-1' ],
	regproc => [ 'pg_catalog.now', '-' ],
	text => [ '', ' a  ', "it's", 'ä中😀', '{a,"b"}', '\\x', 'NULL', "two\nlines\t" ],
	oid => [ '0', '4294967295' ],
	tid => [ '(0,1)', '(4294967295,65535)' ],
	xid => [ '4294967295' ],
	cid => [ '1' ],
	oidvector => [ '1 2 3', '' ],
	xid8 => [ '18446744073709551615' ],
	json => [ '{"a":  [1, null, "x"]}', '"\u0041"' ],
	jsonb => [ '{"a": [1, null, "x"]}', '123456789012345678901234567890.5', 'null' ],
	xml => [ '<a>x &amp; y</a>', 'text' ],
	point => [ '(0.1,-1e+300)', '(NaN,Infinity)' ],
	lseg => [ '[(0,0),(1,1)]' ],
	path => [ '((0,0),(1,1.5))', '[(0,0),(1,1)]' ],
	box => [ '(1,1),(0,0)' ],
	polygon => [ '((0,0),(1,1),(2,0))' ],
	line => [ '{1,-1,0}' ],
	circle => [ '<(0,0),1.5>' ],
	cidr => [ '10.0.0.0/8', '2001:db8::/32' ],
	inet => [ '10.1.2.3/8', '::1' ],
	macaddr => [ '08:00:2b:01:02:03' ],
	macaddr8 => [ '08:00:2b:01:02:03:04:05' ],
	float4 => [ '0.1', '-0', '3.4028235e+38', '1e-45', 'NaN', 'Infinity', '-Infinity', '16777217' ],
	float8 => [ '0.1', '-0', '1.7976931348623157e+308', '5e-324', 'NaN', 'Infinity', '-Infinity', '0.30000000000000004' ],
	aclitem => [ 'app=r/app' ],
	bpchar => [ 'x', 'a b ' ],
	varchar => [ '', 'x  ' ],
	date => [ '2024-02-29', 'infinity', '-infinity', '0044-03-15 BC', '4713-01-01 BC', '5874897-12-31' ],
	time => [ '00:00:00', '24:00:00', '12:34:56.789012' ],
	timestamp => [ '2024-02-29 12:34:56.789012', 'infinity', '-infinity', '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999999' ],
	timestamptz => [ '2024-02-29 12:34:56.789012+05:30', 'infinity', '-infinity', '0001-01-01 00:00:00+00 BC' ],
	interval => [ '1 year 2 mons -3 days 04:05:06.789', '-1 mon -1 day -00:00:01', '-178000000 years', '0' ],
	timetz => [ '12:34:56.789012+05:30', '00:00:00-15:59' ],
	bit => [ '1' ],
	varbit => [ '', '010101', '1' x 100 ],
	numeric => [ '0', '0.00', '-123456789012345678901234567890.123456789', 'NaN', 'Infinity', '-Infinity', '1e1000', '1e-1000' ],
	refcursor => [ 'c' ],
	regprocedure => [ 'pg_catalog.now()' ],
	regoper => [ '!!' ],
	regoperator => [ '+(integer,integer)' ],
	regclass => [ 'pg_class' ],
	regcollation => [ '"C"' ],
	regtype => [ 'integer', 'timestamp with time zone' ],
	regrole => [ 'app' ],
	regnamespace => [ 'pg_catalog' ],
	uuid => [ '12345678-9abc-def0-1234-56789abcdef0' ],
	pg_lsn => [ '16/B374D848' ],
	tsvector => [ q('a':1A 'b c':2) ],
	gtsvector => undef,
	tsquery => [ q('a' & !'b':*) ],
	regconfig => [ 'english' ],
	regdictionary => [ 'simple' ],
	jsonpath => [ '$."a"[*]' ],
	txid_snapshot => [ '10:20:10,14' ],
	pg_snapshot => [ '10:20:10,14' ],
	int4range => [ '[1,5)', 'empty', '(,)' ],
	numrange => [ '(1.5,2.50]' ],
	tsrange => [ '["2024-01-01 00:00:00","2024-02-01 00:00:00")' ],
	tstzrange => [ '["2024-01-01 00:00:00+00",)' ],
	daterange => [ '[2024-01-01,2024-02-01)' ],
	int8range => [ '[1,5)' ],
	int4multirange => [ '{[1,5),[7,9)}' ],
	nummultirange => [ '{(1.5,2.50]}' ],
	tsmultirange => [ '{["2024-01-01 00:00:00","2024-02-01 00:00:00")}' ],
	tstzmultirange => [ '{["2024-01-01 00:00:00+00",)}' ],
	datemultirange => [ '{[2024-01-01,2024-02-01)}' ],
	int8multirange => [ '{[1,5)}' ],
	money => [ '$1.00' ],	# refused, see below

	# no values of these can be made
	pg_node_tree => undef, pg_ndistinct => undef, pg_dependencies => undef,
	pg_mcv_list => undef, pg_brin_bloom_summary => undef,
	pg_brin_minmax_multi_summary => undef,
);
my @types = split /\n/, $local->safe_psql('postgres', q{SELECT typname FROM pg_type
	WHERE typtype IN ('b', 'r', 'm') AND typelem = 0 AND typname !~ '^_' AND oid < 10000 ORDER BY oid});
push @types, grep { /vector$|^point$|^lseg$|^box$|^line$|^name$/ && exists $samples{$_} } split /\n/,
  $local->safe_psql('postgres', q{SELECT typname FROM pg_type WHERE typtype = 'b' AND typelem <> 0 AND typname !~ '^_' AND oid < 10000});
is(join(' ', grep { !exists $samples{$_} } @types), '', 'there are values of every type: ' . scalar(@types));

# Runs both, in one session, as often as it takes to be prepared; what differs.
$local->safe_psql('postgres', qq{
	CREATE FUNCTION beside_dblink(sql text, type text) RETURNS text LANGUAGE plpgsql AS \$f\$
	DECLARE theirs text; ours text; n int;
	BEGIN
		BEGIN
			EXECUTE format('SELECT string_agg(coalesce(x::text, ''(null)''), '' | '') FROM dblink(''c'', %L) AS t(x %s)', sql, type) INTO theirs;
		EXCEPTION WHEN OTHERS THEN theirs := 'error';
		END;
		FOR i IN 1..3 LOOP
			BEGIN
				EXECUTE format('SELECT string_agg(coalesce(x::text, ''(null)''), '' | ''), count(*) FROM pool_config.query(''crm'', %L) AS t(x %s)', sql, type) INTO ours, n;
				IF n = 0 THEN RETURN 'no rows'; END IF;
			EXCEPTION WHEN OTHERS THEN ours := 'error';
			END;
			IF ours IS DISTINCT FROM theirs THEN RETURN format('run %s: %s, dblink: %s', i, ours, theirs); END IF;
		END LOOP;
		RETURN 'same';
	END \$f\$;
	CREATE FUNCTION there_and_back(value text, type text) RETURNS text LANGUAGE plpgsql AS \$f\$
	DECLARE same bool; got text;
	BEGIN
		FOR i IN 1..3 LOOP
			EXECUTE format('SELECT x::text = (\$1::%1\$s)::text, x::text FROM pool_config.query(''crm'', ''select \$1::%1\$s'', \$1::%1\$s) AS t(x %1\$s)', type) INTO same, got USING value;
			IF same IS NOT TRUE THEN RETURN format('run %s: %s, not %s', i, got, value); END IF;
		END LOOP;
		RETURN 'same';
	END \$f\$;
});
sub quoted
{
	my ($s) = @_;
	$s =~ s/'/''/g;
	return "'$s'";
}
my %differs;
my @checks;
for my $type (grep { $samples{$_} && $_ ne 'money' } @types)
{
	my $t      = $type eq 'char' ? '"char"' : $type;
	my $values = join(', ', map { '(' . quoted($_) . "::$t)" } @{ $samples{$type} });
	my $all    = "select * from (values $values, (null)) v(x)";
	for my $declared ($t, "${t}[]", 'text', 'varchar', 'int', 'int8', 'numeric', 'float8', 'timestamptz', 'date', 'uuid', 'jsonb', 'bool', 'inet')
	{
		my $sql = $declared =~ /\[\]$/ ? "select array_agg(x order by x::text) || null::$t from ($all) y union all select '{}'" : $all;
		push @checks, 'SELECT ' . quoted("$type as $declared") . ", beside_dblink(" . quoted($sql) . ', ' . quoted($declared) . ');';
	}
	push @checks, 'SELECT ' . quoted("$type as a parameter") . ', there_and_back(' . quoted($_) . ', ' . quoted($t) . ');' for $type eq 'char' ? () : @{ $samples{$type} };
	push @checks, 'SELECT ' . quoted("$type as parameters in an array") . ", there_and_back(array_agg(x)::text, " . quoted("${t}[]") . ") FROM ($all) y;"
	  if $type !~ /vector|aclitem/;
}
my ($rc, $out, $err) = $local->psql('postgres', join("\n", "SELECT '' FROM dblink_connect('c', '$conninfo');", @checks), on_error_stop => 0);
my %got = map { my ($what, $result) = split /\|/, $_, 2; ($what => $result) } grep { /\|/ } split /\n(?=\w+ as )/, $out;
is($err, '', 'no errors but those expected');
is(scalar(keys %got), scalar(keys %{ { map { /SELECT ('.*?'), / => 1 } @checks } }), 'all checks were made: ' . scalar(@checks));

# what merely looks like a time in the text of something else we do not read
my @wrong = grep { $got{$_} ne 'same' && !/^(regprocedure|tstz(multi)?range) as timestamptz$/ } sort keys %got;
is(scalar(@wrong), 0, 'all values as with dblink, as declared and otherwise') or diag(map { "$_: $got{$_}\n" } @wrong);

fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select ''1.00''::money') AS t(a money);}, '42804', 'lc_monetary', 'money is refused');
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select $1', '1.00'::money) AS t(a text);}, '0A000', 'lc_monetary', 'as a parameter, too');

# --- types of the user's own
$remote->safe_psql('postgres', q{
	SET ROLE app;
	CREATE TYPE mood AS ENUM ('glad', 'sad');
	CREATE TYPE pair AS (a int, b text, c date);
	CREATE DOMAIN positive AS int CHECK (VALUE > 0);
	CREATE TABLE odd (gone int, a int, b text, g int GENERATED ALWAYS AS (a * 2) STORED);
	ALTER TABLE odd DROP gone;
	INSERT INTO odd VALUES (1, 'x');
});
$local->safe_psql('postgres', q{
	CREATE TYPE filler AS ENUM ('x');
	CREATE TYPE mood AS ENUM ('sad', 'glad', 'other');
	CREATE TYPE pair AS (a int, b text, c date);
	CREATE DOMAIN positive AS int CHECK (VALUE > 0);
	CREATE DOMAIN filled AS text NOT NULL;
	CREATE TABLE odd (b text, gone int, g int GENERATED ALWAYS AS (a * 2) STORED, a int);
	ALTER TABLE odd DROP gone;
});
sub gives
{
	my ($sql, $list, $expected, $what) = @_;
	my $call = "SELECT * FROM pool_config.query('crm', " . quoted($sql) . ") AS t($list);\n";
	my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY sqlstate\n" . $call x 3, on_error_stop => 0);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	chomp $err;
	$out =~ s/\n+$//;
	is($out . $err, $expected eq '' ? '' : join("\n", ($expected) x 3), $what // "$sql as $list");
}
gives(q{select 'sad'::mood, array['sad', 'glad']::mood[]}, 'a mood, b mood[]', 'sad|{sad,glad}');
gives(q{select 'sad'::mood, array['sad', 'glad']::mood[]}, 'a text, b text[]', 'sad|{sad,glad}');
gives(q{select (1, 'a"b', '2024-02-29')::pair, array[(2, null, null)::pair]}, 'a pair, b pair[]', '(1,"a""b",2024-02-29)|{"(2,,)"}');
gives(q{select 5::positive}, 'a positive', '5');
gives(q{select 5}, 'a positive', '5');
gives(q{select -5}, 'a positive', 'ERROR:  23514');
gives(q{select null}, 'a filled', 'ERROR:  23502');
gives(q{select 5::positive}, 'a int', '5');
gives(q{select 'sad'::mood}, 'a int', 'ERROR:  42804');
gives(q{select 2147483648}, 'a int', 'ERROR:  22003');
gives(q{select 'x'}, 'a int', 'ERROR:  22P02');
gives(q{select 1.5}, 'a numeric(3,2)', '1.50');
gives(q{select 'abcdef'}, 'a varchar(3)', 'ERROR:  22001');
gives(q{select 'ab'}, 'a char(4)', 'ab  ');
gives(q{select '2024-02-29 12:34:56.789'::timestamp}, 'a timestamp(0)', '2024-02-29 12:34:57');
gives(q{select row(1, 'x')}, 'a text', '(1,x)');
gives(q{select 1 limit 0}, 'a int', '');
gives(q{select 1, 2}, 'a int', 'ERROR:  42804');
# types of extensions have other OIDs on each server
$remote->safe_psql('postgres', 'CREATE EXTENSION citext; CREATE EXTENSION hstore');
$local->safe_psql('postgres', 'CREATE EXTENSION hstore; CREATE EXTENSION citext');
gives(q{select 'Ab'::citext, array['Ab', null]::citext[], 'a=>1, b=>NULL'::hstore}, 'a citext, b citext[], c hstore', 'Ab|{Ab,NULL}|"a"=>"1", "b"=>NULL');
gives(q{select 'Ab'::citext}, 'a text', 'Ab');
gives(q{select 'Ab'::text}, 'a citext', 'Ab');
gives(q{select 'a=>1'::hstore}, 'a citext', '"a"=>"1"');
gives(q{select 'Ab'::citext}, 'a int', 'ERROR:  42804');
sql_ok($local, q{SELECT a FROM pool_config.query('crm', 'select $1 = ''ab''::citext and $2::hstore -> ''k'' = ''v''', 'AB'::citext, 'k=>v'::hstore) AS t(a bool);} x 3, "t\nt\nt", 'values of such types as parameters');
for (1 .. 2)
{
	sql_ok($local, q{SELECT a, b, g FROM pool_config.query_as(NULL::odd, 'crm', 'select * from odd')} . ';' . q{SELECT a, b, g FROM pool_config.query_as(NULL::odd, 'crm', 'select * from odd');} x 2,
		"1|x|2\n1|x|2\n1|x|2", 'dropped and generated columns');
}
fails_with($local, q{SELECT * FROM pool_config.query_as(NULL::odd, 'crm', 'select a, b from odd');}, '42804', 'did not return column "g"', 'a missing column is named');
fails_with($local, q{SELECT * FROM pool_config.query_as(NULL::odd, 'crm', 'select *, 1 as more from odd');}, '42804', 'column "more"', 'so is one too many');
fails_with($local, q{SELECT * FROM pool_config.query_as(NULL::odd, 'crm', 'select a, a, b, g from odd');}, '42804', '"a" twice', 'and one that comes twice');

# --- query_json beside the server's own
my $kinds = q{select a::int, b::bool, c::text, d::numeric, e::float8, f::jsonb, g::int[], h::text[], i::date, j::timestamp, k::timestamptz, l::uuid, m::int4range, n::interval, o::bytea, p::mood, q::json, r::time, s::char(3)
	from (values ('1', 't', 'a"b', '1.50', 'NaN', '{"x": null}', '{1,NULL}', '{a,"b c"}', '2024-02-29', '2024-02-29 12:34:56.5', '2024-02-29 12:34:56+02', '12345678-9abc-def0-1234-56789abcdef0', '[1,2)', '1 day', '\xff', 'sad', '[1]', '12:00', 'x'),
	('2', null, null, null, '-0', null, '{}', null, null, 'infinity', null, null, null, null, null, null, null, null, null)) v(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s)};
{
	my $ours = $local->safe_psql('postgres', join("\n", ("SELECT pool_config.query_json('crm', " . quoted($kinds) . ');') x 3));
	my $theirs = $remote->safe_psql('postgres', "SET search_path = app, public; SELECT to_jsonb(x) FROM ($kinds) x");
	is($ours, join("\n", ($theirs) x 3), 'query_json makes what to_jsonb() makes there');
}
sql_ok($local, q{SELECT pool_config.query_json('crm', 'update odd set b = $1 where a = $2 returning a, b', 'x', 1)}, '{"a": 1, "b": "x"}', 'query_json of RETURNING');
fails_with($local, q{SELECT pool_config.query_json('crm', 'select 1, 2');}, '42804', 'twice', 'query_json needs different names');

# --- styles on either side
my @intervals = ('postgres', 'sql_standard', 'iso_8601', 'postgres_verbose', 'sql_standard');
for my $style ('ISO, DMY', 'SQL, DMY', 'SQL, MDY', 'Postgres, DMY', 'German')
{
	my $interval = shift @intervals;
	$remote->safe_psql('postgres', "ALTER ROLE app SET datestyle = '$style'; ALTER ROLE app SET intervalstyle = '$interval'; ALTER ROLE app SET extra_float_digits = 0; ALTER ROLE app SET timezone = 'Asia/Kolkata'");
	my $dates = q{select '2024-03-04'::date, '2024-03-04 05:06:07'::timestamp, '2024-03-04 05:06:07+00'::timestamptz, '-1 mon -2 days -03:04:05'::interval, array['2024-03-04'::date], array['-1 mon -2 days'::interval], array['2024-03-04 05:06:07+00'::timestamptz], 0.1::float8 + 0.2};
	my $call = q{SELECT bool_and(a = '2024-03-04' AND b = '2024-03-04 05:06:07' AND c = '2024-03-04 05:06:07+00' AND d = '-P1M2DT3H4M5S' AND e = array['2024-03-04'::date] AND f = array['-P1M2D'::interval] AND g = array['2024-03-04 05:06:07+00'::timestamptz] AND h = 0.1::float8 + 0.2)
		FROM pool_config.query('crm', } . quoted($dates) . q{) AS t(a date, b timestamp, c timestamptz, d interval, e date[], f interval[], g timestamptz[], h float8);};
	$call =~ s/-P1M2DT3H4M5S/P-1M-2DT-3H-4M-5S/;
	$call =~ s/-P1M2D/P-1M-2D/;
	$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', password => 'app-secret')});
	sql_ok($local, "SET datestyle = '$style'; SET intervalstyle = '$interval'; SET extra_float_digits = 0; SET timezone = 'America/New_York';" . $call x 3, "t\nt\nt", "DateStyle $style, IntervalStyle $interval on both sides");
	sql_ok($local, $call x 3, "t\nt\nt", '... there only');
}
$remote->safe_psql('postgres', q{ALTER ROLE app RESET ALL; ALTER ROLE app SET timezone = 'Asia/Kolkata'});
$local->safe_psql('postgres', q{SELECT pool_config.alter_target('crm', password => 'app-secret')});
sql_ok($local, "SET timezone = 'America/New_York';" . q{SELECT * FROM pool_config.query('crm', 'select x, x, x, x, x from (values (''2024-03-04 22:00:00+00''::timestamptz)) v(x)') AS t(a timestamptz, b timestamp, c date, d time, e timestamp(0));} x 3,
	join("\n", ('2024-03-04 17:00:00-05|2024-03-05 03:30:00|2024-03-05|03:30:00|2024-03-05 03:30:00') x 3), 'a time with its zone read without: that of the remote, in each run');
sql_ok($local, 'SET extra_float_digits = -15;' . q{SELECT a = 0.1 + 0.2::float8, b = 0.30000000000000004, c = 1.1 FROM pool_config.query('crm', 'select 0.1::float8 + 0.2, 0.1::float8 + 0.2, 1.1::float4') AS t(a float8, b numeric, c numeric);} x 3,
	join("\n", ('t|t|t') x 3), 'floats read as numeric are exact');

# --- encodings
$local->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'; CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'});
$remote->safe_psql('postgres', q{CREATE DATABASE euro ENCODING 'LATIN9' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'});
for my $database ('latin', 'bytes', 'postgres')
{
	$local->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS pool_config');
	$local->safe_psql($database, sprintf(q{SELECT pool_config.create_target('%s', 'postgresql://app:app-secret@127.0.0.1:%d/%s?sslmode=disable', replace => true)}, @$_))
	  for [ 'crm', $remote->port, 'postgres' ], [ 'euro', $remote->port, 'euro' ];
}
is($local->safe_psql('latin', q{SELECT encode(convert_to(a, 'UTF8'), 'hex') FROM pool_config.query('crm', 'select U&''\00e4''') AS t(a text);} x 3), "c3a4\nc3a4\nc3a4", 'UTF8 there, LATIN1 here');
is($local->safe_psql('latin', q{SELECT * FROM pool_config.query('crm', 'select encode(convert_to($1::text, ''UTF8''), ''hex'')', convert_from('\xe4', 'LATIN1')) AS t(a text)}), 'c3a4', 'and there');
(undef, undef, $err) = $local->psql('latin', q{SELECT * FROM pool_config.query('crm', 'select U&''\4e2d''') AS t(a text)});
like($err, qr/has no equivalent in encoding "LATIN1"/, 'what LATIN1 does not have is an error');
(undef, undef, $err) = $local->psql('latin', q{SELECT pool_config.exec('euro', 'select 1')});
like($err, qr/conversion between LATIN1 and LATIN9 is not supported/, 'encodings that the remote cannot convert are an error');
is($local->safe_psql('postgres', q{SELECT a, b = U&'\20ac' FROM pool_config.query('euro', 'select octet_length($1::text), $1::text', U&'\20ac') AS t(a int, b text)}), '1|t', 'LATIN9 there, UTF8 here');
is($local->safe_psql('bytes', q{SELECT encode(a::bytea, 'hex') FROM pool_config.query('crm', 'select U&''\00e4''') AS t(a text)}), 'c3a4', 'SQL_ASCII here: as they come');
(undef, undef, $err) = $local->psql('bytes', q{SELECT * FROM pool_config.query('crm', 'select $1::text', convert_from('\xe4', 'SQL_ASCII')) AS t(a text)});
like($err, qr/invalid byte sequence for encoding "UTF8"/, 'and the remote refuses what is none of its characters');
is($local->safe_psql('bytes', q{SELECT pool_config.exec('crm', 'select 1')}), 'SELECT 1', 'the connection lives on');

# --- large values
for my $call (q{'select repeat(''x'', 268435456)') AS t(a text)}, q{'select decode(repeat(''ab'', 268435456), ''hex'')') AS t(a bytea)})
{
	sql_ok($local, "SELECT length(a) FROM pool_config.query('crm', $call", '268435456', "256 MB: $call");
}
sql_ok($local, q{SELECT length(a) FROM pool_config.query('crm', 'select $1', (SELECT repeat('y', 268435456))) AS t(a text)}, '268435456', '256 MB there and back');
SKIP:
{
	skip 'values of almost 1 GB are for PCFG_TEST_HUGE=1, and 8 GB of memory', 5 unless $ENV{PCFG_TEST_HUGE};
	sql_ok($local, q{SELECT length(a) FROM pool_config.query('crm', 'select repeat(''x'', 1073741700)') AS t(a text)}, '1073741700', 'a text of almost 1 GB');
	sql_ok($local, q{SELECT length(a) FROM pool_config.query('crm', 'select repeat(''x'', 1073741700)::bytea') AS t(a bytea)}, '1073741700', 'a bytea of almost 1 GB');
	sql_ok($local, q{SELECT length(a) FROM pool_config.query('crm', 'select $1', (SELECT repeat('y', 1073700000))) AS t(a text)}, '1073700000', 'there and back');
	fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select repeat(''x'', 700000000), repeat(''x'', 700000000)') AS t(a text, b text);}, '54000', 'memory|long', 'a row of more than the remote can send');
	sql_ok($local, q{SELECT pool_config.exec('crm', 'select 1')}, 'SELECT 1', 'and calls go on');
}
fails_with($local, q{SELECT pool_config.exec('crm', 'select $1, $2, $3, $4, $5', b, b, b, b, b) FROM (SELECT repeat('y', 250000000)::bytea) v(b);}, '54000', 'too long', 'sec_S31: beyond 1 GB');

sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost in all this');
done_testing();
