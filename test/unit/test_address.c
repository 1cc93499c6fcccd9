/*
 * test_address.c
 *	  Addresses: what is read, translated, ignored and refused, and that
 *	  nothing is repeated.
 */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tap.h"
#include "url/address.h"

static const char *const kinds[] = {
	"E-EMPTY", "E-SCHEME", "E-SYNTAX", "E-ESCAPE", "E-HOST", "E-PORT", "E-MULTIHOST",
	"E-AMBIGUOUS", "E-UNKNOWN", "E-DRIVER", "E-VALUE", "E-SETTING", "E-VERSION", "E-PRIV",
	"E-POOLER", "E-PLACEHOLDER", "E-REFUSED", "", "N-ALIAS", "N-TRANSLATED", "N-IGNORED",
	"N-EMPTY", "N-ROUNDED", "N-STRIPPED", "N-PROVIDER", "N-WARNING"
};

typedef struct Case
{
	const char *text;
	const char *expected;		/* name=value;... in order, then the kinds of
								 * notices; or the kinds of errors */
	const char *args;
	const char *driver;
	const char *hint;			/* occurs in some hint or message */
	bool		privileged;
} Case;

static const Case cases[] =
{
	/* bare addresses */
	{"postgresql://u:p@h/db", "host=h;user=u;password=p;dbname=db;"},
	{"postgres://u:p@h/db", "host=h;user=u;password=p;dbname=db;"},
	{"POSTGRESQL://u:p@h/db", "host=h;user=u;password=p;dbname=db;N-ALIAS;"},
	{" postgresql://u:p@h/db\n", "host=h;user=u;password=p;dbname=db;"},
	{"", "E-EMPTY;"},
	{"  \n", "E-EMPTY;"},
	{"postgresql://u:p%40ss@h/db", "host=h;user=u;password=p@ss;dbname=db;"},
	{"postgresql://u:p@ss@h/db", "E-AMBIGUOUS;", .hint = "%40"},
	{"postgresql://u:p/w@h/db", "E-AMBIGUOUS;", .hint = "%2F"},
	{"postgresql://u:p#w@h/db", "host=h;user=u;password=p#w;dbname=db;"},
	{"postgresql://u:p#w@h/db", "E-AMBIGUOUS;", .driver = "asyncpg", .hint = "%23"},
	{"postgresql://u:p?w@h/db", "host=h;user=u;password=p?w;dbname=db;"},
	{"postgresql://h?application_name=a@b", "E-AMBIGUOUS;", .hint = "%40"},
	{"postgresql://h:5432?application_name=a@b", "E-AMBIGUOUS;"},
	{"postgresql://u:p%zz@h/db", "E-ESCAPE;", .hint = "password"},
	{"postgresql://u:p%00x@h/db", "E-ESCAPE;"},
	{"postgresql://u:p%4@h/db", "E-ESCAPE;"},
	{"postgresql://u:p@h/d%ff", "E-ESCAPE;"},
	{"postgresql://u:p@h/d%c0%af", "E-ESCAPE;"},
	{"postgresql://u:p@h/d%0ab", "E-ESCAPE;"},
	{"postgresql://u:p@h/d\001b", "E-ESCAPE;"},
	{"postgresql://u:\377@h/db", "E-ESCAPE;"},
	{"postgresql:///db?host=/run/postgresql", "host=/run/postgresql;dbname=db;"},
	{"postgresql://%2Frun%2Fpostgresql/db", "host=/run/postgresql;dbname=db;"},
	{"postgresql://u:p@[2001:db8::1]:5433/db", "host=2001:db8::1;port=5433;user=u;password=p;dbname=db;"},
	{"postgresql://u:p@[fe80::1%25eth0]/db", "host=fe80::1%eth0;user=u;password=p;dbname=db;"},
	{"postgresql://u:p@::1/db", "E-HOST;", .hint = "[::1]"},
	{"postgresql://u:p@[::1/db", "E-SYNTAX;"},
	{"postgresql://u:p@[]/db", "E-SYNTAX;"},
	{"postgresql://u:p@[::1]x/db", "E-SYNTAX;"},
	{"postgresql://u:p@%40abstract/db", "E-HOST;"},
	{"postgresql://u:p@h1:1,h2:2/db?target_session_attrs=read-write", "host=h1,h2;port=1,2;user=u;password=p;dbname=db;target_session_attrs=read-write;"},
	{"postgresql://u:p@h1,h2/db", "host=h1,h2;port=5432,5432;user=u;password=p;dbname=db;"},
	{"postgresql://u:p@h1,h2/db?port=5433", "host=h1,h2;port=5433,5433;user=u;password=p;dbname=db;"},
	{"postgresql://u:p@h1,h2:5433/db", "E-AMBIGUOUS;", .hint = "every host"},
	{"postgresql://u:p@h1,h2/db?port=1,2,3", "E-MULTIHOST;"},
	{"postgresql://u:p@h1,,h2/db", "E-HOST;"},
	{"postgresql://u:p@h1/db?host=h2", "E-AMBIGUOUS;"},
	{"postgresql://u:p@h1/db?host=h1", "host=h1;user=u;password=p;dbname=db;"},
	{"postgresql://u:p@h/db?user=v", "E-AMBIGUOUS;"},
	{"postgresql://u:p@h/db?sslmode=require&sslmode=disable", "E-AMBIGUOUS;"},
	{"postgresql://u:p@h:abc/db", "E-PORT;"},
	{"postgresql://u:p@h:0/db", "E-PORT;"},
	{"postgresql://u:p@h:70000/db", "E-PORT;"},
	{"postgresql://u:p@h/db?ssl=true", "host=h;user=u;password=p;dbname=db;sslmode=require;"},
	{"postgresql://u:p@h/db?ssl=true&sslmode=disable", "E-AMBIGUOUS;"},
	{"postgresql://u:p@h/db?ssl=TRUE", "E-VALUE;", .hint = "sslmode=require"},
	{"postgresql://u:p@h/db?requiressl=1", "host=h;user=u;password=p;dbname=db;sslmode=require;"},
	{"postgresql://u:p@h/db?sslmode=REQUIRE", "E-VALUE;", .hint = "verify-full"},
	{"postgresql://u:p@h/db?connect_timeout=5", "host=h;user=u;password=p;dbname=db;connect_timeout=5;"},
	{"postgresql://u:p@h?connect_timeout=5", "host=h;user=u;password=p;connect_timeout=5;"},
	{"postgresql://u:p@h?host=h&application_name=a%2Fb", "host=h;user=u;password=p;application_name=a/b;"},
	{"postgresql://u:p@h/db?connect_timeout=0", "E-VALUE;", .hint = "above 0"},
	{"postgresql://u:p@h/db?connect_timeout=-1", "E-VALUE;"},
	{"postgresql://u:p@h/db?connect_timeout=5.5", "E-VALUE;", .hint = "whole"},
	{"postgresql://u:p@h/db?connect_timeout=5s", "E-VALUE;"},
	{"postgresql://u:p@h/db?connect_timeout=5e0", "E-VALUE;"},
	{"postgresql://u:p@h/db?connect_timeout=%205%20", "host=h;user=u;password=p;dbname=db;connect_timeout=5;"},
	{"postgresql://u:p@h1:1,h2/db", "host=h1,h2;port=1,5432;user=u;password=p;dbname=db;"},
	{"postgresql://u:p@h/db?connect_timeout=99999999999", "E-VALUE;"},
	{"postgresql://u:p@h/db?timeout=5", "E-DRIVER;", .hint = "connect_timeout"},
	{"postgresql://u:p@h/db?command_timeout=5", "E-DRIVER;", .hint = "statement_timeout"},
	{"postgresql://u:p@h/db?connectTimeout=5", "E-DRIVER;", .hint = "connect_timeout"},
	{"postgresql://u:p@h/db?pool_size=5", "E-DRIVER;", .hint = "create_target()"},
	{"postgresql://u:p@h/db?options=endpoint=ep-x", "E-SYNTAX;", .hint = "%3D"},
	{"postgresql://u:p@h/db?options=-c%20jit%3Doff", "host=h;user=u;password=p;dbname=db;options=-c jit=off;"},
	{"postgresql://u:p@h/db?a", "E-SYNTAX;"},
	{"postgresql://u:p@h/db?", "host=h;user=u;password=p;dbname=db;"},
	{"postgresql://u:p@h/db?&", "E-SYNTAX;"},
	{"postgresql://u:p@h/db#frag", "E-AMBIGUOUS;", .hint = "%23"},
	{"postgresql://u:p@h/db&options=x", "E-AMBIGUOUS;", .hint = "\"?\""},
	{"postgresql://u:p@h/db?sslmode=", "host=h;user=u;password=p;dbname=db;N-EMPTY;"},
	{"postgresql://u:p@h/db?application_name=a+b", "host=h;user=u;password=p;dbname=db;application_name=a+b;N-TRANSLATED;"},
	{"postgresql://u:p@h/my%20db", "host=h;user=u;password=p;dbname=my db;"},
	{"postgresql://u:p@h/db?pgbouncer=true", "E-UNKNOWN;", .hint = "pooler"},
	{"postgresql://u:p@h/db?connection_limit=5", "E-UNKNOWN;", .hint = "pool_size"},
	{"postgresql://u:p@h/db?sslmod=require", "E-UNKNOWN;", .hint = "sslmode"},
	{"postgresql://u:p@h/db?replication=database", "E-REFUSED;"},
	{"postgresql://u:p@h/db?client_encoding=utf8", "E-REFUSED;"},
	{"postgresql://u:p@h/db?service=prod", "E-PRIV;"},
	{"postgresql://u:p@h/db?service=prod", "host=h;user=u;password=p;dbname=db;service=prod;", .privileged = true},
	{"postgresql://u:p@h/db?passfile=/x", "E-PRIV;"},
	{"postgresql://u:p@h/db?krbsrvname=x", "E-PRIV;"},
	{"postgresql://u:p@h/db?krbsrvname=x", "host=h;user=u;password=p;dbname=db;krbsrvname=x;", .privileged = true},
	{"postgresql://u:p@h/db?gssencmode=require", "E-PRIV;"},
	{"postgresql://u:p@h/db?gssencmode=require", "E-REFUSED;", .privileged = true},
	{"postgresql://u:p@h/db?gssencmode=disable", "host=h;user=u;password=p;dbname=db;gssencmode=disable;"},
	{"postgresql://u:p@h/db?sslmode=verify-full&sslrootcert=/ca.pem", "E-PRIV;", .hint = "pg_read_server_files"},
	{"postgresql://u:p@h/db?sslmode=verify-full&sslrootcert=/ca.pem", "host=h;user=u;password=p;dbname=db;sslmode=verify-full;sslrootcert=/ca.pem;", .privileged = true},
	{"postgresql://u:p@h/db?sslrootcert=system", "E-VERSION;", .hint = "PostgreSQL 16", .privileged = true},
	{"postgresql://u:p@h/db?password_file=/x", "E-REFUSED;", .hint = "ALTER USER MAPPING"},
	{"postgresql://u:p@h1,h2/db?load_balance_hosts=random", "host=h1,h2;port=5432,5432;user=u;password=p;dbname=db;load_balance_hosts=random;"},
	{"postgresql://u:p@h1,h2/db?load_balance_hosts=on", "E-VALUE;", .hint = "disable, random"},
	{"postgresql://u:p@h/db?require_auth=md5", "E-VERSION;", .hint = "PostgreSQL 16"},
	{"postgresql://u:p@h/db?sslnegotiation=direct&sslmode=require", "E-VERSION;", .hint = "PostgreSQL 17"},
	{"postgresql://u:p@h/db?target_session_attrs=writable", "E-VALUE;", .hint = "read-write"},
	{"postgresql://u:p@h/db?keepalives_idle=x", "E-VALUE;"},
	{"postgresql://u:p@h/db?keepalives=2", "E-VALUE;"},
	{"postgresql://u:p@h/db?tcp_user_timeout=30", "host=h;user=u;password=p;dbname=db;tcp_user_timeout=30;N-WARNING;"},
	{"postgresql://u:p@h/db?ssl_min_protocol_version=1.2", "E-VALUE;", .hint = "TLSv1.2"},
	{"postgresql://u:p@h/db?channel_binding=require&sslmode=disable", "E-VALUE;"},
	{"mysql://u:p@h/db", "E-SCHEME;", .hint = "mysql"},
	{"postgresql-psycopg2://u:p@h/db", "E-SCHEME;"},
	{"postgresql:/h/db", "E-SCHEME;"},
	{"postgresql:h", "E-SCHEME;"},
	{"//u:p@h/db", "E-SYNTAX;"},
	{"://u:p@h/db", "E-SCHEME;"},
	{"db.example.com", "E-SYNTAX;"},
	{"postgresql://", "E-HOST;"},
	{"postgresql:///db", "E-HOST;"},
	{"psql postgresql://u:p@h/db", "E-SCHEME;", .hint = "psql"},
	{"DATABASE_URL=postgresql://u:p@h/db", "E-SCHEME;", .hint = "variable"},
	{"export DATABASE_URL=postgresql://u:p@h/db", "E-SCHEME;"},
	{"PGPASSWORD=x psql -h h", "E-SCHEME;"},
	{"'postgresql://u:p@h/db'", "E-SCHEME;", .hint = "quotes"},
	{"\"postgresql://u:p@h/db\"", "E-SCHEME;"},
	{"$DATABASE_URL", "E-PLACEHOLDER;"},
	{"postgresql://u:[YOUR-PASSWORD]@h/db", "E-PLACEHOLDER;"},
	{"postgresql://u:********@h/db", "E-PLACEHOLDER;"},
	{"postgresql://u:<password>@h/db", "E-PLACEHOLDER;"},
	{"postgresql://u:p@<host>/db", "E-PLACEHOLDER;"},
	/* all that is wrong at once */
	{"postgresql://u:p@h:abc/db?timeout=5&sslmod=x&connect_timeout=0", "E-DRIVER;E-PORT;E-UNKNOWN;E-VALUE;"},
	{"postgresql://u:p@h/db?sslmode=no&port=x", "E-PORT;E-VALUE;"},

	/* keyword strings */
	{"host=h port=5433 user=u password='p w' dbname=db", "host=h;port=5433;user=u;password=p w;dbname=db;"},
	{"host = h user = u", "host=h;user=u;"},
	{"host=h password='it\\'s'", "host=h;password=it's;"},
	{"host=h password=a\\ b", "host=h;password=a b;"},
	{"host=::1", "host=::1;"},
	{"host=h:1", "E-HOST;"},
	{"hostaddr=10.0.0.1 host=h", "host=h;hostaddr=10.0.0.1;"},
	{"hostaddr=10.0.0.1", "hostaddr=10.0.0.1;"},
	{"hostaddr=h", "E-HOST;"},
	{"host=h1,h2 hostaddr=10.0.0.1", "E-MULTIHOST;"},
	{"host=h password='abc", "E-SYNTAX;"},
	{"host=h sslmod=require", "E-UNKNOWN;", .hint = "sslmode"},
	{"host=h usr=u", "E-UNKNOWN;", .hint = "user"},
	{"host=h ssl=true", "E-DRIVER;", .hint = "sslmode=require"},
	{"host=h host=i", "E-AMBIGUOUS;"},
	{"host=h user=''", "host=h;N-EMPTY;"},
	{"host=h garbage", "E-SYNTAX;"},
	{"dbname=postgresql://u:p@h/db", "E-AMBIGUOUS;", .hint = "itself"},
	{"host=h dbname='host=i user=u'", "E-AMBIGUOUS;"},
	{"user=u", "E-HOST;"},
	{"host=h sslmod=require connect_timeout='0'", "E-UNKNOWN;E-VALUE;"},
	{"host=h user=u", "E-SCHEME;", .driver = "asyncpg"},
	{"host=h user=u", "host=h;user=u;", .driver = "psycopg2"},
	{"host=h connect_timeout=2.5", "host=h;connect_timeout=2.5;", .driver = "psycopg"},

	/* SQLAlchemy */
	{"postgresql+psycopg2://u:p@h/db?sslmode=require", "host=h;user=u;password=p;dbname=db;sslmode=require;"},
	{"postgresql+psycopg2cffi://u:p@h/db", "host=h;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p/w?x#y+z@h/db", "host=h;user=u;password=p/w?x#y+z;dbname=db;"},
	{"postgresql+psycopg2://u:p%40%2F@h/db", "host=h;user=u;password=p@/;dbname=db;"},
	{"postgresql+psycopg2://u:p@ss@h/db", "E-AMBIGUOUS;", .hint = "%40"},
	{"postgresql+psycopg2://h:5432/db?application_name=a@b", "E-AMBIGUOUS;"},
	{"postgresql+psycopg2://h/db?application_name=a@b", "host=h;dbname=db;application_name=a@b;"},
	{"postgresql+psycopg2://u@h/db", "host=h;user=u;dbname=db;"},
	{"postgresql+psycopg2://u:p@h/db?application_name=a+b", "host=h;user=u;password=p;dbname=db;application_name=a b;"},
	{"postgresql+psycopg2://u:p@h/db?options=-c+jit=off", "host=h;user=u;password=p;dbname=db;options=-c jit=off;"},
	{"postgresql+psycopg2://u:p@h/db?sslmode=&application_name", "host=h;user=u;password=p;dbname=db;N-EMPTY;N-EMPTY;"},
	{"postgresql+psycopg://u:p@h/my%20db", "host=h;user=u;password=p;dbname=my db;N-TRANSLATED;"},
	{"postgresql+psycopg_async://u:p@h/db", "host=h;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@/db?host=/run/postgresql", "host=/run/postgresql;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@%2Frun%2Fpg/db", "E-HOST;", .hint = "?host=/"},
	{"postgresql+psycopg2://u:p@[::1]:5433/db", "host=::1;port=5433;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@::1/db", "E-HOST;", .hint = "[::1]"},
	{"postgresql+psycopg2://u:p@h1:1,h2:2/db", "E-MULTIHOST;", .hint = "?host="},
	{"postgresql+psycopg2://u:p@h1,h2/db", "host=h1,h2;port=5432,5432;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@h1,h2:5433/db", "E-AMBIGUOUS;"},
	{"postgresql+psycopg2://u:p@/db?host=h1,h2&port=1,2", "host=h1,h2;port=1,2;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@/db?host=h1,h2&port=1,2,3", "E-MULTIHOST;"},
	{"postgresql+psycopg2://u:p@/db?host=h1:1&host=h2:2", "host=h1,h2;port=1,2;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@/db?host=h1&host=h2:2", "host=h1,h2;port=5432,2;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@/db?host=h:1", "host=h;port=1;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@/db?host=[::1]:5433&host=h2:1", "host=::1,h2;port=5433,1;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@/db?host=h1:1&host=h2:2&port=3", "E-MULTIHOST;"},
	{"postgresql+psycopg2://u:p@/db?host=h1,h2&host=h3", "E-MULTIHOST;"},
	{"postgresql+psycopg2://u:p@h1/db?host=h2", "E-AMBIGUOUS;"},
	{"postgresql+asyncpg://u:p@/db?host=h1&host=h2", "host=h1,h2;port=5432,5432;user=u;password=p;dbname=db;N-TRANSLATED;"},
	{"postgresql+asyncpg://u:p@/db?host=/run/pg/.s.PGSQL.5433", "host=/run/pg;port=5433;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@h:/db", "E-PORT;"},
	{"postgresql+psycopg2://u:p@h:abc/db", "E-PORT;"},
	{"postgresql+psycopg2://u:p@h/db#x", "E-AMBIGUOUS;"},
	{"postgresql+psycopg2://u:p@h/db?database=db", "host=h;user=u;password=p;dbname=db;"},
	{"postgresql+psycopg2://u:p@h/db?dbname=other", "E-AMBIGUOUS;"},
	{"postgresql+psycopg2://u:p@h/db?ssl=true", "E-DRIVER;", .hint = "sslmode=require"},
	{"postgresql+psycopg2://u:p@h/db?plugin=x", "host=h;user=u;password=p;dbname=db;N-IGNORED;"},
	{"postgresql+psycopg2://u:p@h/db", "host=h;user=u;password=p;dbname=db;connect_timeout=5;", "{\"connect_timeout\": 5}"},
	{"postgresql+psycopg2://u:p@h/db", "host=h;user=u;password=p;dbname=db;connect_timeout=5;", "{\"connect_timeout\": \"5\"}"},
	{"postgresql+psycopg2://u:p@h/db", "E-VALUE;", "{\"connect_timeout\": true}"},
	{"postgresql+psycopg2://u:p@h/db", "E-DRIVER;", "{\"timeout\": 5}", .hint = "connect_timeout"},
	{"postgresql+psycopg2://u:p@h/db", "E-DRIVER;", "{\"command_timeout\": 5}"},
	{"postgresql+psycopg2://u:p@h/db", "E-DRIVER;", "{\"cursor_factory\": \"x\"}"},
	{"postgresql+psycopg2://u:p@h/db", "host=h;user=u;password=p;dbname=db;keepalives=1;keepalives_idle=30;", "{\"keepalives\": true, \"keepalives_idle\": 30, \"sslmode\": null}"},
	{"postgresql+psycopg2://u:p@h/db", "E-AMBIGUOUS;", "{\"user\": \"v\"}"},
	{"postgresql+psycopg2://u:p@h/db", "E-REFUSED;", "{\"dsn\": \"x\"}"},
	{"postgresql+psycopg://u:p@h/db", "host=h;user=u;password=p;dbname=db;connect_timeout=2.5;", "{\"connect_timeout\": 2.5}"},
	{"postgresql+psycopg2://u:p@h/db", "E-VALUE;", "{\"connect_timeout\": 2.5}"},
	{"postgresql+psycopg://u:p@h/db", "host=h;user=u;password=p;dbname=db;N-IGNORED;", "{\"prepare_threshold\": null}", .hint = "pooler"},
	{"postgresql+psycopg://u:p@h/db", "host=h;user=u;password=p;dbname=db;", "{\"autocommit\": true}"},
	{"postgresql+psycopg://u:p@h/db", "E-VALUE;", "{\"autocommit\": false}"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;connect_deadline=5;connect_timeout=5;", "{\"timeout\": 5}"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;connect_deadline=0.25;connect_timeout=0.25;", "{\"timeout\": 0.25}"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;connect_deadline=0.001;connect_timeout=0.001;N-ROUNDED;", "{\"timeout\": 0.0004}"},
	{"postgresql+asyncpg://u:p@h/db?timeout=5", "host=h;user=u;password=p;dbname=db;connect_deadline=5;connect_timeout=5;N-ALIAS;"},
	{"postgresql+asyncpg://u:p@h/db", "E-DRIVER;", "{\"connect_timeout\": 5}", .hint = "asyncpg calls it timeout"},
	{"postgresql+asyncpg://u:p@h/db?connect_timeout=5", "E-DRIVER;", .hint = "asyncpg calls it timeout"},
	{"postgresql+asyncpg://u:p@h/db", "E-VALUE;", "{\"timeout\": 0}"},
	{"postgresql+asyncpg://u:p@h/db", "E-VALUE;", "{\"timeout\": \"soon\"}"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;command_timeout=60;connect_deadline=5;connect_timeout=5;", "{\"timeout\": 5, \"command_timeout\": 60}"},
	{"postgresql+asyncpg://u:p@h/db?ssl=require", "host=h;user=u;password=p;dbname=db;sslmode=require;"},
	{"postgresql+asyncpg://u:p@h/db?ssl=verify_full", "host=h;user=u;password=p;dbname=db;sslmode=verify-full;"},
	{"postgresql+asyncpg://u:p@h/db?ssl=true", "E-VALUE;", .hint = "verify-full"},
	{"postgresql+asyncpg://u:p@h/db?sslmode=require", "E-DRIVER;", .hint = "ssl=require"},
	{"postgresql+asyncpg://u:p@h/db?sslmode=require&channel_binding=require", "E-DRIVER;E-DRIVER;", .hint = "has none"},
	{"postgresql+asyncpg://u:p@h/db?sslrootcert=/x", "E-DRIVER;"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;sslmode=disable;", "{\"ssl\": false}"},
	{"postgresql+asyncpg://u:p@h/db", "E-VERSION;", "{\"ssl\": true}"},
	{"postgresql+asyncpg://u:p@h/db?direct_tls=false", "E-VALUE;"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;application_name=my app;options=-c jit=off;", "{\"server_settings\": {\"jit\": \"off\", \"application_name\": \"my app\"}}"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;options=-c search_path=a\\ b\\\\c -c work_mem=64;N-ALIAS;", "{\"server_settings\": {\"search_path\": \"a b\\\\c\", \"work_mem\": 64}}"},
	{"postgresql+asyncpg://u:p@h/db?server_settings=%7B%22jit%22%3A%22off%22%7D", "host=h;user=u;password=p;dbname=db;options=-c jit=off;"},
	{"postgresql+asyncpg://u:p@h/db", "E-VALUE;", "{\"server_settings\": \"jit\"}"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;options=-c my.a-b=c;", "{\"server_settings\": {\"my.a-b\": \"c\"}}"},
	{"postgresql+asyncpg://u:p@h/db", "E-VALUE;", "{\"server_settings\": {\"a b\": \"c\"}}"},
	{"postgresql+asyncpg://u:p@h/db", "E-REFUSED;", "{\"server_settings\": {\"client_encoding\": \"latin1\"}}"},
	{"postgresql+asyncpg://u:p@h/db", "E-REFUSED;", "{\"server_settings\": {\"role\": \"x\"}}", .hint = "init_sql"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;N-IGNORED;", "{\"server_settings\": {\"datestyle\": \"German\"}}"},
	{"postgresql+asyncpg://u:p@h/db", "E-DRIVER;", "{\"application_name\": \"x\"}", .hint = "server_settings"},
	{"postgresql+asyncpg://u:p@h/db", "E-DRIVER;", "{\"keepalives\": 1}"},
	{"postgresql+asyncpg://u:p@h/db", "E-DRIVER;", "{\"dbname\": \"db\"}", .hint = "database"},
	{"postgresql+asyncpg://u:p@h", "host=h;user=u;password=p;dbname=db;", "{\"database\": \"db\"}"},
	{"postgresql+asyncpg://u:p@/db", "host=h1,h2;port=1,2;user=u;password=p;dbname=db;N-TRANSLATED;", "{\"host\": [\"h1\", \"h2\"], \"port\": [1, 2]}"},
	{"postgresql+asyncpg://u:p@h/db?prepared_statement_cache_size=0", "host=h;user=u;password=p;dbname=db;N-IGNORED;N-IGNORED;", "{\"statement_cache_size\": 0}", .hint = "pooler"},
	{"postgresql+asyncpg://u:p@h/db?prepared_statement_cache_size=abc", "E-VALUE;"},
	{"postgresql+asyncpg://u:p@h/db?pool_size=5", "E-DRIVER;", .hint = "create_target()"},
	{"postgresql+asyncpg://u:p@h/db?async_fallback=true", "host=h;user=u;password=p;dbname=db;N-IGNORED;"},
	{"postgresql+asyncpg://u:p@h/db", "E-DRIVER;", "{\"prepared_statement_name_func\": \"f\"}"},
	{"postgresql+psycopg3://u:p@h/db", "host=h;user=u;password=p;dbname=db;N-ALIAS;"},
	{"postgres+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;N-ALIAS;"},
	{"postgresql+asyncpgql://u:p@h/db", "E-SCHEME;", .hint = "asyncpg"},
	{"postgresql+nothing://u:p@h/db", "E-SCHEME;", .hint = "Known are"},
	{"postgresql+pg8000://u:p@h/db", "E-SCHEME;", .hint = "connect_timeout"},
	{"postgresql+asyncpg://u:p@h/db", "E-SCHEME;", .driver = "psycopg2"},
	{"postgresql+asyncpg://u:p@h/db", "host=h;user=u;password=p;dbname=db;", .driver = "asyncpg"},
	{"postgresql+psycopg://u:p@h/db", "host=h;user=u;password=p;dbname=db;", .driver = "psycopg3"},
	{"postgresql://u:p@h/db", "E-SCHEME;", .driver = "asyncpgg", .hint = "asyncpg"},

	/* asyncpg's own address */
	{"postgresql://u:p@h/db?sslmode=verify_full", "host=h;user=u;password=p;dbname=db;sslmode=verify-full;", .driver = "asyncpg"},
	{"postgresql://u:p@h/db?connect_timeout=5", "E-DRIVER;", .driver = "asyncpg", .hint = "timeout"},
	{"postgresql://u:p@h/db?ssl=require", "E-DRIVER;", .driver = "asyncpg", .hint = "sslmode"},
	{"postgresql://u:p@h/db?application_name=a+b", "host=h;user=u;password=p;dbname=db;application_name=a b;", .driver = "asyncpg"},
	{"postgresql://u:p@h/db?search_path=a,b", "host=h;user=u;password=p;dbname=db;options=-c search_path=a,b;", .driver = "asyncpg"},
	{"postgresql://u:p@h/?database=db", "host=h;user=u;password=p;dbname=db;", .driver = "asyncpg"},
	{"postgresql://u:p@h/db", "host=h;user=u;password=p;dbname=db;connect_deadline=5;connect_timeout=5;", "{\"timeout\": 5}", .driver = "asyncpg"},
	{"postgresql://u:p@h/db", "E-DRIVER;", "{\"sslmode\": \"require\"}", .driver = "asyncpg"},

	/* JDBC */
	{"jdbc:postgresql://h/db?user=u", "E-SCHEME;", .hint = "postgresql://"},
	{"jdbc:postgresql://u:p@h/db", "E-SCHEME;"},

	/* connect_args */
	{NULL, "connect_timeout=5;", "{\"connect_timeout\": 5}"},
	{"host=h", "E-VALUE;", "[]"},
	{"host=h", "E-VALUE;", "{"},
	{"host=h", "E-VALUE;", "{\"user\": [\"u\"]}"},
	{"host=h", "host=h;user=\xc3\xbc\xf0\x9f\x98\x80;", "{\"user\": \"\\u00fc\\ud83d\\ude00\"}"},
	{"host=h", "E-ESCAPE;", "{\"user\": \"a\\nb\"}"},
	{"host=h", "E-UNKNOWN;E-DRIVER;E-VALUE;", "{\"sslmod\": 1, \"timeout\": 5, \"connect_timeout\": 0}"},

	/* providers */
	{"postgresql://alex:s3cret@ep-cool-lake-123456.us-east-2.aws.neon.tech/shop?sslmode=require&channel_binding=require", "host=ep-cool-lake-123456.us-east-2.aws.neon.tech;user=alex;password=s3cret;dbname=shop;channel_binding=require;sslmode=require;N-PROVIDER;"},
	{"postgresql://alex:endpoint%3Dep-cool-lake-123456%3Bs3cret@ep-cool-lake-123456.us-east-2.aws.neon.tech/shop?sslmode=require", "host=ep-cool-lake-123456.us-east-2.aws.neon.tech;user=alex;password=s3cret;dbname=shop;sslmode=require;N-STRIPPED;N-PROVIDER;"},
	{"postgresql://alex:endpoint%3Dep-other%3Bs3cret@ep-cool-lake-123456.us-east-2.aws.neon.tech/shop", "E-AMBIGUOUS;"},
	{"postgresql://alex:s3cret@ep-cool-lake-123456-pooler.us-east-2.aws.neon.tech/shop?sslmode=require&options=endpoint%3Dep-cool-lake-123456", "host=ep-cool-lake-123456-pooler.us-east-2.aws.neon.tech;user=alex;password=s3cret;dbname=shop;sslmode=require;N-STRIPPED;N-PROVIDER;"},
	{"postgresql://alex:s3cret@ep-cool-lake-123456.c-2.us-east-2.aws.neon.tech/shop?options=project%3Dep-other", "E-AMBIGUOUS;"},
	{"postgresql://a:s@ep-x-1.us-east-2.aws.neon.tech/d?connect_timeout=5&sslmode=require", "host=ep-x-1.us-east-2.aws.neon.tech;user=a;password=s;dbname=d;connect_timeout=5;sslmode=require;N-PROVIDER;N-PROVIDER;", .hint = "10 s"},
	{"postgresql://a:s@ep-x-1.us-east-2.aws.neon.tech/d?sslmode=disable", "host=ep-x-1.us-east-2.aws.neon.tech;user=a;password=s;dbname=d;sslmode=disable;N-WARNING;N-PROVIDER;"},
	{"postgresql://a:s@ep-x-1.us-east-2.aws.neon.tech/d?sslsni=0", "E-VALUE;"},
	{"postgresql://a:s@ep-x-1-pooler.us-east-2.aws.neon.tech/d?options=-c%20jit%3Doff", "E-POOLER;"},
	{"postgresql://a:s@ep-x-1-pooler.us-east-2.aws.neon.tech/d?options=-c%20timezone%3DUTC", "host=ep-x-1-pooler.us-east-2.aws.neon.tech;user=a;password=s;dbname=d;options=-c timezone=UTC;sslmode=require;N-PROVIDER;"},
	{"postgresql://postgres.abcdef:s3cret@aws-0-eu-west-1.pooler.supabase.com:6543/postgres", "host=aws-0-eu-west-1.pooler.supabase.com;port=6543;user=postgres.abcdef;password=s3cret;dbname=postgres;sslmode=require;N-PROVIDER;", .hint = "pooler transaction"},
	{"postgresql://postgres:[YOUR-PASSWORD]@db.abcdef.supabase.co:5432/postgres", "E-PLACEHOLDER;"},
	{"postgresql://shop:s3cret@dpg-abc123-a.oregon-postgres.render.com/shop_db", "host=dpg-abc123-a.oregon-postgres.render.com;user=shop;password=s3cret;dbname=shop_db;sslmode=require;N-PROVIDER;"},
	{"postgresql://shop:s3cret@dpg-abc123-a/shop_db", "host=dpg-abc123-a;user=shop;password=s3cret;dbname=shop_db;sslmode=prefer;N-PROVIDER;"},
	{"postgresql://u:p@monorail.proxy.rlwy.net/railway", "host=monorail.proxy.rlwy.net;user=u;password=p;dbname=railway;sslmode=require;N-PROVIDER;N-PROVIDER;", .hint = "port"},
	{"postgresql://name%40server:p@server.postgres.database.azure.com/db?sslmode=require", "host=server.postgres.database.azure.com;user=name@server;password=p;dbname=db;sslmode=require;N-PROVIDER;"},
	{"postgresql://app:p@x.cluster-c1a2b3.eu-west-1.rds.amazonaws.com/db?sslmode=verify-full&sslrootcert=global-bundle.pem", "E-PRIV;"},
	{"postgresql://u:p@X.Proxy.RLWY.net.:1/db", "host=X.Proxy.RLWY.net.;port=1;user=u;password=p;dbname=db;sslmode=require;N-PROVIDER;"},
};

static void
parse(PcfgAddress *a, const Case *c)
{
	PcfgAddressInput input = {c->text, c->args, c->driver, c->privileged, NULL, PCFG_POOLER_AUTO};

	pcfg_address_parse(a, &input);
}

/* As the expectations are written. */
static void
describe(const PcfgAddress *a, char *out, size_t size)
{
	int			i;

	out[0] = '\0';
	for (i = 0; i < a->nkeywords; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s=%s;", a->keywords[i].name, a->keywords[i].value);
	for (i = 0; i < a->findings.n; i++)
	{
		if ((a->findings.items[i].kind < PCFG_ERRORS) == (a->findings.nerrors > 0))
			snprintf(out + strlen(out), size - strlen(out), "%s;", kinds[a->findings.items[i].kind]);
	}
}

/* The same errors, in any order. */
static bool
same_kinds(const char *a, const char *b)
{
	char		words[2][16][32];
	int			n[2] = {0, 0};
	int			i;

	for (i = 0; i < 2; i++)
	{
		const char *p = i == 0 ? a : b;

		while (*p != '\0' && n[i] < 16)
		{
			size_t		len = strcspn(p, ";");

			snprintf(words[i][n[i]++], 32, "%.*s", (int) (len < 31 ? len : 31), p);
			p += len + (p[len] == ';');
		}
		qsort(words[i], (size_t) n[i], 32, (int (*) (const void *, const void *)) strcmp);
	}
	return n[0] == n[1] && memcmp(words[0], words[1], 0) == 0 &&
		({ bool same = true; for (i = 0; i < n[0]; i++) same &= strcmp(words[0][i], words[1][i]) == 0; same; });
}

static bool
says(const PcfgAddress *a, const char *text)
{
	int			i;

	for (i = 0; i < a->findings.n; i++)
	{
		if (strstr(a->findings.items[i].message, text) != NULL ||
			(a->findings.items[i].hint != NULL && strstr(a->findings.items[i].hint, text) != NULL))
			return true;
	}
	return false;
}

/* What this libpq is too old for in the cases, it may know: see test_newer_libpq. */
static bool
is_known_by_now(const Case *c)
{
	bool		of_17 = c->hint != NULL && strstr(c->hint, "17") != NULL;

	return strncmp(c->expected, "E-VERSION", 9) == 0 &&
		PQlibVersion() >= (of_17 ? 170000 : 160000);
}

static void
test_cases(void)
{
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const Case *c = &cases[i];
		PcfgAddress a;
		char		out[1024];
		bool		good;

		if (is_known_by_now(c))
			continue;
		parse(&a, c);
		describe(&a, out, sizeof(out));
		good = strcmp(out, c->expected) == 0 ||
			(c->expected[0] == 'E' && same_kinds(out, c->expected));
		ok(good && (c->hint == NULL || says(&a, c->hint)), "%s %s %s",
		   c->text != NULL ? c->text : "(no address)", c->args != NULL ? c->args : "",
		   c->driver != NULL ? c->driver : "");
		if (!good || (c->hint != NULL && !says(&a, c->hint)))
		{
			int			j;

			printf("# expected %s\n# is       %s\n", c->expected, out);
			for (j = 0; j < a.findings.n; j++)
				printf("#   %s: %s (%s)\n", kinds[a.findings.items[j].kind], a.findings.items[j].message,
					   a.findings.items[j].hint != NULL ? a.findings.items[j].hint : "");
		}
		pcfg_address_free(&a);
	}
}

/* ----------------------------------------------------------------
 * properties
 * ----------------------------------------------------------------
 */

/* Any slice of four characters of the canary in a text of ours? */
static bool
has_slice(const char *text, const char *canary)
{
	size_t		i;

	for (i = 0; canary[i + 3] != '\0'; i++)
	{
		char		slice[5];

		memcpy(slice, canary + i, 4);
		slice[4] = '\0';
		if (strstr(text, slice) != NULL)
			return true;
	}
	return false;
}

static bool
leaks(const PcfgAddress *a, const char *canary)
{
	int			i;

	for (i = 0; i < a->findings.n; i++)
	{
		if (has_slice(a->findings.items[i].message, canary) ||
			(a->findings.items[i].hint != NULL && has_slice(a->findings.items[i].hint, canary)))
			return true;
	}
	return false;
}

/* Every case, its values replaced by canaries and damaged at random. */
static void
test_canary(void)
{
	static const char alphabet[] = "@:/?#&=%,[]+ '\\\"\t{};$<>*|";
	static const char *const canaries[] = {"Zq7Xj2Wk", "qXz@Jw7k", "Wq/Zx9Jk", "Jz=Qw8Xk", "Xk&Jq=Zw"};
	unsigned	seed = 4711;
	int			leaked = 0;
	int			round;
	size_t		i;

	for (round = 0; round < 200; round++)
	{
		const char *canary = canaries[round % 5];

		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		{
			Case		c = cases[i];
			char		text[512];
			char		args[512];
			size_t		at;
			size_t		len;
			PcfgAddress a;

			if (c.text == NULL || strlen(c.text) > 200)
				continue;
			/* where a password stands, or anywhere behind the scheme */
			at = strcspn(c.text, "@");
			if (c.text[at] == '\0' || round % 3 == 0)
				at = (size_t) rand_r(&seed) % (strlen(c.text) + 1);
			snprintf(text, sizeof(text), "%.*s%s%s", (int) at, c.text, canary, c.text + at);
			len = strlen(text);
			if (round % 2 == 1)
				text[(size_t) rand_r(&seed) % len] = alphabet[(size_t) rand_r(&seed) % (sizeof(alphabet) - 1)];
			c.text = text;
			if (c.args != NULL && round % 4 == 0)
			{
				snprintf(args, sizeof(args), "{\"password\": \"%s\", \"%s\": 1, %s", canary, canary, c.args + 1);
				c.args = args;
			}
			parse(&a, &c);
			if (leaks(&a, canary) && leaked++ < 5)
				printf("# leaks: %s %s\n", text, c.args != NULL ? c.args : "");
			pcfg_address_free(&a);
		}
	}
	ok(leaked == 0, "no text repeats four characters of a password");
}

/* What libpq makes of a bare address that we accept is the same. */
static bool
agrees_with_libpq(const char *text)
{
	Case		c = {text, .privileged = true};
	PcfgAddress a;
	PQconninfoOption *options;
	PQconninfoOption *o;
	bool		agrees = true;
	int			n = 0;

	parse(&a, &c);
	if (a.findings.nerrors > 0)
	{
		pcfg_address_free(&a);
		return true;
	}
	options = PQconninfoParse(text, NULL);
	for (o = options; o != NULL && o->keyword != NULL; o++)
	{
		const char *ours = pcfg_address_value(&a, o->keyword);

		if (o->val == NULL || o->val[0] == '\0')
			continue;
		n++;
		if (strcmp(o->keyword, "port") == 0 || strcmp(o->keyword, "connect_timeout") == 0)
			continue;			/* filled up, and written as a number */
		agrees &= ours != NULL && strcmp(ours, o->val) == 0;
	}
	/* nothing was invented: ports of several hosts only */
	agrees &= options != NULL && a.nkeywords <= n + 1;
	if (!agrees)
		printf("# differs: %s\n", text);
	PQconninfoFree(options);
	pcfg_address_free(&a);
	return agrees;
}

static void
test_agreement(void)
{
	static const char alphabet[] = "@:/?#&=%,[]+ abh1'\\\"";
	unsigned	seed = 99;
	int			differing = 0;
	int			i;

	for (i = 0; i < 100000; i++)
	{
		char		text[] = "postgresql://user:pa55@host:5432/name?sslmode=prefer&options=x";
		int			changes = 1 + (int) ((unsigned) rand_r(&seed) % 4);

		while (changes-- > 0)
			text[13 + (size_t) rand_r(&seed) % (sizeof(text) - 15)] =
				alphabet[(size_t) rand_r(&seed) % (sizeof(alphabet) - 1)];
		differing += !agrees_with_libpq(text);
	}
	ok(differing == 0, "100000 bare addresses: those accepted are read as libpq reads them");
	for (i = 0, differing = 0; i < 30000; i++)
	{
		char		text[] = "host=h user = 'us er' password='pa\\'s' port=5432 dbname=d";

		text[(size_t) rand_r(&seed) % (sizeof(text) - 1)] = alphabet[(size_t) rand_r(&seed) % (sizeof(alphabet) - 1)];
		text[(size_t) rand_r(&seed) % (sizeof(text) - 1)] = alphabet[(size_t) rand_r(&seed) % (sizeof(alphabet) - 1)];
		differing += !agrees_with_libpq(text);
	}
	ok(differing == 0, "30000 keyword strings: the same");
}

/* Keywords, written as each form, give the same list. */
static void
test_round_trip(void)
{
	static const char odd[] = "aZ0 @:/?#&=%,[]+'\\\"$~";
	unsigned	seed = 7;
	int			wrong = 0;
	int			i;

	for (i = 0; i < 20000; i++)
	{
		char		coded[3][64] = {"", "", ""};
		char		quoted[3][64] = {"", "", ""};
		char		json[3][64] = {"", "", ""};
		char		text[4][512];
		char		out[4][512];
		int			j,
					k;

		for (j = 0; j < 3; j++)
		{
			int			len = 3 + (int) ((unsigned) rand_r(&seed) % 6);

			for (k = 0; k < len; k++)
			{
				char		ch = odd[(size_t) rand_r(&seed) % (sizeof(odd) - 1)];

				/* a database's name is not an address, a placeholder not a password */
				if (strchr("=[$", ch) != NULL || (j == 2 && ch == ':'))
					ch = 'y';
				sprintf(coded[j] + strlen(coded[j]), "%%%02X", (unsigned char) ch);
				sprintf(quoted[j] + strlen(quoted[j]), strchr("'\\", ch) ? "\\%c" : "%c", ch);
				sprintf(json[j] + strlen(json[j]), strchr("\"\\", ch) ? "\\%c" : "%c", ch);
			}
		}
		snprintf(text[0], 512, "postgresql://%s:%s@h:5433/%s?application_name=a&connect_timeout=7", coded[0], coded[1], coded[2]);
		snprintf(text[1], 512, "postgresql+psycopg2://%s:%s@h:5433/%s?connect_timeout=7&application_name=a", coded[0], coded[1], coded[2]);
		snprintf(text[2], 512, "dbname='%s' application_name=a password='%s' user='%s' port=5433 connect_timeout=7 host=h", quoted[2], quoted[1], quoted[0]);
		snprintf(text[3], 512, "{\"user\": \"%s\", \"password\": \"%s\", \"dbname\": \"%s\", \"application_name\": \"a\", \"port\": 5433, \"connect_timeout\": 7}", json[0], json[1], json[2]);
		for (j = 0; j < 4; j++)
		{
			Case		c = {j == 3 ? "host=h" : text[j], NULL, j == 3 ? text[3] : NULL};
			PcfgAddress a;

			parse(&a, &c);
			a.findings.n = 0;
			describe(&a, out[j], sizeof(out[j]));
			pcfg_address_free(&a);
			if (strcmp(out[j], out[0]) != 0 || out[j][0] == '\0')
			{
				if (wrong++ < 5)
					printf("# %s\n#   %s\n#   %s\n", text[j], out[0], out[j]);
			}
		}
	}
	ok(wrong == 0, "20000 targets: address, SQLAlchemy's address, keyword string and JSON give the same");
}

/* Every byte in each place: as it is, or refused; never cut. */
static void
test_bytes(void)
{
	int			wrong = 0;
	int			byte;
	int			place;

	for (byte = 1; byte < 256; byte++)
	{
		static const char *const names[] = {"user", "password", "dbname", "application_name"};
		char		coded[8];

		snprintf(coded, sizeof(coded), "%%%02x", byte);
		for (place = 0; place < 4; place++)
		{
			char		text[128];
			char		expected[16];
			Case		c = {text};
			PcfgAddress a;
			const char *value;

			snprintf(text, sizeof(text), "postgresql://u%s:p%s@h/d%s?application_name=a%s",
					 place == 0 ? coded : "", place == 1 ? coded : "", place == 2 ? coded : "",
					 place == 3 ? coded : "");
			snprintf(expected, sizeof(expected), "%c%c", "upda"[place], byte);
			parse(&a, &c);
			value = pcfg_address_value(&a, names[place]);
			if (a.findings.nerrors == 0 && (value == NULL || strcmp(value, expected) != 0))
				wrong++;
			if (a.findings.nerrors > 0 && byte > ' ' && byte < 0x7f && byte != '=')
				wrong++;
			pcfg_address_free(&a);
		}
	}
	ok(wrong == 0, "every byte is passed on or refused");
}

/* Long runs of one character take no time. */
static void
test_runs(void)
{
	static const char *const heads[] = {
		"postgresql://u:p@", "postgresql://u:p@h/db?", "postgresql://", "host=h ", "postgresql+psycopg2://u:p@/db?host=",
		"postgresql+asyncpg://"
	};
	static const char *const runs[] = {"%", ",", "[", "&", "=", "a=b&", "host=h&", "h,", "@", "'", "x=1 ", "%41", ":"};
	clock_t		start = clock();
	size_t		i,
				j;

	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
	{
		for (j = 0; j < sizeof(runs) / sizeof(runs[0]); j++)
		{
			static char text[9000];
			Case		c = {text};
			PcfgAddress a;
			char	   *p = stpcpy(text, heads[i]);

			while (p - text < 8190)
				p = stpcpy(p, runs[j]);
			text[8191] = '\0';
			parse(&a, &c);
			ok(a.findings.nerrors > 0, "%s and a run of %s is refused", heads[i], runs[j]);
			pcfg_address_free(&a);
		}
	}
	ok((double) (clock() - start) / CLOCKS_PER_SEC < 5, "and takes no time");
	{
		char	   *huge = malloc(1000001);
		Case		c = {huge, NULL, huge};
		PcfgAddress a;

		memset(huge, '[', 1000000);
		huge[1000000] = '\0';
		parse(&a, &c);
		ok(a.findings.nerrors == 2, "an address and JSON without end are refused for their length");
		pcfg_address_free(&a);
		huge[60000] = '\0';
		c.text = "host=h";
		parse(&a, &c);
		ok(a.findings.nerrors == 1, "deep nesting is refused");
		pcfg_address_free(&a);
		free(huge);
	}
}

int
main(void)
{
	test_cases();
	test_canary();
	test_agreement();
	test_round_trip();
	test_bytes();
	test_runs();
	return tap_done();
}
