# Values as parameters of remote statements: from psql, PL/pgSQL and drivers.
use strict;
use warnings;
use File::Basename;
use PoolConfig;
use PostgreSQL::Test::Utils;
use Test::More;

my $remote = start_remote('remote', q{log_parameter_max_length_on_error = -1});
my $local  = start_local('local', q{log_statement = 'none'});
make_target($local, $remote, 'crm', pool_size => 1, max_overflow => 0);
$remote->safe_psql('postgres', q{
	SET ROLE app;
	CREATE TYPE mood AS ENUM ('glad', 'sad');
	CREATE TYPE pair AS (a int, b text);
	CREATE DOMAIN positive AS int CHECK (VALUE > 0);
	CREATE TABLE customers (id int PRIMARY KEY, name text);
	INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace'), (3, 'Edith');
});
$local->safe_psql('postgres', q{
	CREATE TYPE filler AS ENUM ('x');
	CREATE TYPE mood AS ENUM ('sad', 'glad');
	CREATE TYPE pair AS (a int, b text);
	CREATE DOMAIN positive AS int CHECK (VALUE > 0);
	CREATE DOMAIN word AS text;
	CREATE TYPE customer AS (id int, name text);
});

# What the remote gets: type and text of one parameter.
sub gets
{
	my ($value, $expected, $cast, $settings) = @_;
	my $sql = sprintf(q{SELECT * FROM pool_config.query('crm', 'select pg_typeof($1%s)::text || '' '' || coalesce($1::text, ''NULL'')', %s) AS t(x text)},
		$cast // '', $value);
	my ($rc, $out, $err) = $local->psql('postgres', ($settings // '') . $sql);
	is($out, $expected, "$value" . ($settings ? " with $settings" : '')) or diag($err);
}

# --- types
gets('true', 'boolean true');
gets('42', 'integer 42');
gets('42::int2', 'smallint 42');
gets('9223372036854775807', 'bigint 9223372036854775807');
gets('(-1.50)::numeric', 'numeric -1.50');
gets("'NaN'::numeric", 'numeric NaN');
gets('0.1::float8 + 0.2', 'double precision 0.30000000000000004');
gets('1.1::float4', 'real 1.1', undef, 'SET extra_float_digits = 0;');
gets("'-Infinity'::float8", 'double precision -Infinity');
gets("'2024-02-29'::date", 'date 2024-02-29', undef, "SET datestyle = 'German';");
gets("'infinity'::date", 'date infinity');
gets("'2024-02-29 12:34:56.789012'::timestamp", 'timestamp without time zone 2024-02-29 12:34:56.789012', undef, "SET datestyle = 'SQL, DMY';");
gets("'0044-03-15 BC'::date", 'date 0044-03-15 BC');
gets("('1 year -2 mons 3 days -04:05:06.7')::interval", 'interval 10 mons 3 days -04:05:06.7', undef, "SET intervalstyle = 'sql_standard';");
gets("array['-1 mon -1 day'::interval]", q(interval[] {"-1 mons -1 days"}), undef, "SET intervalstyle = 'sql_standard';");
gets("array['2024-03-04'::date]", 'date[] {2024-03-04}', undef, "SET datestyle = 'SQL, DMY';");
gets("daterange('2024-03-04', '2024-05-06')", 'daterange [2024-03-04,2024-05-06)', undef, "SET datestyle = 'German';");
gets('array[0.1::float8]', 'double precision[] {0.1}', undef, 'SET extra_float_digits = -15;');
gets("'12345678-1234-5678-1234-567812345678'::uuid", 'uuid 12345678-1234-5678-1234-567812345678');
gets("'\\x00ff5c'::bytea", 'bytea \x00ff5c', undef, "SET bytea_output = 'escape';");
gets(q('{"a": [1, "x"]}'::jsonb), 'jsonb {"a": [1, "x"]}');
gets(q('{"a":  1}'::json), 'json {"a":  1}');
gets("'10.0.0.0/8'::cidr", 'cidr 10.0.0.0/8');
gets("'12:34:56+02'::timetz", 'time with time zone 12:34:56+02');
gets("B'0101'", 'bit 0101');
gets("array[1, NULL, 3]", 'integer[] {1,NULL,3}');
gets("point(1, 2)", 'point (1,2)');
gets('NULL::int', 'integer NULL');
gets("'pg_class'::regclass", 'regclass pg_class');

# --- strings and what is user-defined: the remote finds out
gets(q('O''Brien \\ "x" $1 ä'), 'text O\'Brien \ "x" $1 ä', '::text');
gets("''", 'text ', '::text');
gets('NULL', 'integer NULL', '::int');
gets("'x '::bpchar(3)", 'text x', '::text');	# as everywhere where bpchar becomes text
gets("'x'::varchar", 'text x', '::text');
gets("'x'::name", 'text x', '::text');
gets("'x'::word", 'text x', '::text');
gets('7::positive', 'integer 7');
gets("'sad'::mood", 'mood sad', '::mood');
gets("row(1, 'a\"b')::pair", 'pair (1,"a""b")', '::pair');
gets("array['sad', 'glad']::mood[]", 'mood[] {sad,glad}', '::mood[]');
gets("array['12345678-1234-5678-1234-567812345678']", 'uuid[] {12345678-1234-5678-1234-567812345678}', '::uuid[]');
gets("array['a', NULL, 'b,c']", 'text[] {a,NULL,"b,c"}', '::text[]');
gets(q('<a/>'::xml), 'xml <a/>');

# --- ways to call
sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select $2::int, $1::text, $3::date', 'x', '42', '2024-01-02') AS t(a int, b text, c date)},
	'42|x|2024-01-02', 'untyped literals');
sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select $1 + 1, $2::text, $3', 42, 'x', '2024-01-02'::date) AS t(a int, b text, c date)},
	'43|x|2024-01-02', 'typed values and an untyped one');
sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select $1::int, $2::text', VARIADIC ARRAY['1', NULL]) AS t(a int, b text)}, '1|', 'VARIADIC text[]');
sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select $1, $2', VARIADIC ARRAY[1, 2]) AS t(a int, b int)}, '1|2', 'VARIADIC int[]');
sql_ok($local, q{SELECT * FROM pool_config.query('crm', 'select 1', VARIADIC '{}'::text[]) AS t(a int)}, '1', 'VARIADIC, none');
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select 1', VARIADIC NULL::text[]) AS t(a int);}, '22004', 'leave it out', 'VARIADIC NULL');
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select 1', VARIADIC array_fill('x'::text, ARRAY[70000])) AS t(a int);}, '54023', '65535', 'sec_S31: too many');
sql_ok($local, q{SELECT sum(a) FROM pool_config.query('crm', 'select a::int from unnest(array[' || (SELECT string_agg('$' || g, ',') FROM generate_series(1, 5000) g) || ']) a', VARIADIC (SELECT array_agg(g::text) FROM generate_series(1, 5000) g)) AS t(a int)},
	'12502500', 'five thousand');
sql_ok($local, q{PREPARE p AS SELECT * FROM pool_config.query($1, $2, $3, $4) AS t(a int, b text); EXECUTE p('crm', 'select $1::int, $2::text', '7', NULL)}, '7|', 'untyped parameters of a local PREPARE');
sql_ok($local, q{SELECT name FROM pool_config.query_as(NULL::customer, 'crm', 'select * from customers where id = $1', 2)}, 'Grace', 'query_as');
sql_ok($local, q{SELECT pool_config.query_json('crm', 'select * from customers where id = $1', 2)}, '{"id": 2, "name": "Grace"}', 'query_json');
sql_ok($local, q{SELECT pool_config.exec('crm', 'update customers set name = $1 where id = any($2)', 'N', array[2, 3])}, 'UPDATE 2', 'exec');
sql_ok($local, q{SELECT count(*) FROM pool_config.query(NULL, 'select $1::int', 1) AS t(a int)}, '0', 'NULL for the target');
sql_ok($local, q{SELECT pool_config.exec('crm', NULL, 1) IS NULL}, 't', 'NULL for the statement');
sql_ok($local, q{SELECT a, b FROM generate_series(1, 3) g, pool_config.query('crm', 'select $1 * 2', g) AS t(a int), LATERAL pool_config.query('crm', 'select $1 || ''!''', a::text) AS u(b text)},
	"2|2!\n4|4!\n6|6!", 'values of rows');
sql_ok($local, q{
	DO $$
	DECLARE i int := 7; t text := 'it''s'; d date := '2024-02-29'; n numeric; r record; j jsonb := '{"k": 1}'; a int[] := '{1,2}'; m mood := 'sad';
	BEGIN
		FOR i IN 1..4 LOOP
			SELECT * INTO STRICT r FROM pool_config.query('crm', 'select $1, $2::text, $3, $4, $5, $6, $7::mood', i, t, d, n, j, a, m)
				AS x(i int, t text, d date, n numeric, j jsonb, a int[], m mood);
			IF r IS DISTINCT FROM row(i, t, d, n, j, a, m) THEN RAISE 'got %', r; END IF;
		END LOOP;
		EXECUTE 'SELECT * FROM pool_config.query($1, $2, $3) AS t(a int)' INTO i USING 'crm', 'select $1 + 1', 41;
		IF i <> 42 THEN RAISE 'got %', i; END IF;
	END $$; SELECT 'done'}, 'done', 'PL/pgSQL variables, prepared or not');
sql_ok($local, q{SELECT count(*) FROM (SELECT * FROM pool_config.query('crm', 'select $1::text', '1') AS t(a text)
	UNION ALL SELECT * FROM pool_config.query('crm', 'select $1::text', '2') AS t(a text)
	UNION ALL SELECT * FROM pool_config.query('crm', 'select $1::text', 3::text) AS t(a text)) x}, '3', 'one statement, other values');
sql_ok($local, q{SELECT string_agg(a, ' ') FROM generate_series(1, 4) g, LATERAL (SELECT * FROM pool_config.query('crm', 'select pg_typeof($1)::text', g) AS t(a text)
	UNION ALL SELECT * FROM pool_config.query('crm', 'select pg_typeof($1)::text', g::int8) AS t(a text)) x},
	join(' ', ('integer bigint') x 4), 'one statement, other types');
sql_ok($local, q{SELECT length(a), md5(a) = md5(b) FROM (SELECT string_agg(decode(md5(g::text), 'hex'), '') FROM generate_series(1, 4 * 1024 * 1024) g) v(b),
	pool_config.query('crm', 'select $1', b) AS t(a bytea)}, '67108864|t', 'bytea of 64 MB there and back');

# --- errors
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select $1::int, $2::int', 1) AS t(a int, b int);}, '08P01', 'supplies 1 parameters, but .* requires 2', 'too few');
fails_with($local, q{SELECT * FROM pool_config.query('crm', 'select $1::positive', -1) AS t(a int);}, '23514', 'positive', 'a remote domain');
fails_with($local, q{SELECT pool_config.exec('crm', 'select 1; select $1', 1);}, '42601', 'HINT:  Send one statement per call', 'two statements');

# --- values are told nowhere but in the remote's own message
for my $call (q{SELECT pool_config.exec('crm', 'select 1 / ($1::int - 314159265)', 314159265);},
	q{SELECT pool_config.exec('crm', 'select 1 / length($1::text)', E'canary\nsecond');} =~ s/length/(length/r =~ s/\)'/) - 13)'/r,
	q{SELECT * FROM pool_config.query('crm', 'select $2::text, 1 / ($1::int - 314159265)', '314159265', 'canary') AS t(a text, b int);})
{
	my $offset = -s $local->logfile;
	my ($rc, $out, $err) = $local->psql('postgres', "\\set VERBOSITY verbose\nPREPARE q AS SELECT 1;\n$call", on_error_stop => 0);
	like($err, qr/division by zero.*remote statement on target "crm": select/s, 'the statement is told');
	my ($fields) = $err =~ /((?:DETAIL|CONTEXT|HINT).*)/s;
	unlike($fields, qr/canary|second|= '/, 'the values are not');
	my $logged = slurp_file($local->logfile, $offset);
	$logged =~ s/^.*STATEMENT:.*(?:\n\t.*)*//mg;
	unlike($logged, qr/canary|second'|\$1 = /, 'nor in the log');
}

# --- drivers
$remote->safe_psql('postgres', q{UPDATE customers SET name = CASE id WHEN 2 THEN 'Grace' ELSE 'Edith' END WHERE id > 1});
my $out = '';
IPC::Run::run([ '/usr/bin/python3', dirname(__FILE__) . '/../lib/driver_values.py', $local->host, $local->port ], '>', \$out, '2>&1');
my @lines = split /\n/, $out;
for my $line (@lines)
{
	my ($good, $what) = $line =~ /^(ok|not ok) (.*)/ or diag($line);
	ok($good eq 'ok', "driver $what") if defined $good;
}
cmp_ok(scalar(@lines), '>=', 80, 'all checks with drivers were made');

sql_ok($local, 'SELECT rescued FROM pool_config.workers', '0', 'no wake-up was lost in all this');
done_testing();
